// Scoring: the rubric next to the recording. Each criterion is saved separately.

import * as api from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { decisionPanel } from "../decisions/decision.js";
import { criterionForm } from "./form.js";
import { totalText } from "../shared/scores.js";
import { candidateName } from "../shared/names.js";
import { erasedNotice } from "../session/report_head.js";
import { emptyState, renderPageAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { timelineView } from "../session/timeline.js";
import { untrustedName } from "../shared/untrusted.js";

export async function show(main, { sessionId }, { me, can, signal, setTitle }) {
  setTitle(t("scoring.title"));
  await renderPageAsync(
    main,
    t("scoring.title"),
    () => load(sessionId, signal),
    (data) => page({ ...data, me, canWrite: can("write") && !data.session.erasedAt, sessionId, signal }),
  );
}

async function load(sessionId, signal) {
  const [session, scorecard] = await Promise.all([
    api.get(`/v1/sessions/${sessionId}`, { signal }),
    loadScorecard(sessionId, signal),
  ]);
  return { session, scorecard };
}

/** Load the scores for the rubric's current version. */
async function loadScorecard(sessionId, signal) {
  const path = `/v1/sessions/${sessionId}/scores`;
  const scorecard = await api.get(path, { signal });
  if (scorecard.rubricVersion === scorecard.currentRubricVersion) return scorecard;
  return api.get(path, { query: { version: scorecard.currentRubricVersion }, signal });
}

function page(context) {
  const { session, scorecard, sessionId, me } = context;
  const head = h(
    "div",
    { class: "page-head" },
    h(
      "div",
      {},
      h("h1", { tabindex: "-1" }, t("scoring.heading"), " ", untrustedName(candidateName(session, session))),
      h("p", { class: "quiet" }, session.assessmentTitle),
    ),
    h("div", { class: "actions" }, h("a", { class: "secondary", href: `#/sessions/${sessionId}` }, t("scoring.report"))),
  );
  if (!scorecard.rubric) return [head, h("div", { class: "panel" }, emptyState(t("scoring.noRubricTitle"), t("scoring.noRubric")))];
  const draftName = `scores ${sessionId}`;
  const forms = h("div", { class: "scoring-forms" });
  const summary = h("div", { class: "panel", role: "status" });
  const state = { ...context, selected: null, events: new Map(), drafts: new Map(), removedInput: null, storeDrafts };
  const render = () => {
    fill(summary, overview(state));
    const views = state.scorecard.criteria.map((criterion) => criterionForm(criterion, { state, refresh }));
    state.views = views;
    state.selected = views.find(({ key }) => key === state.selected?.key) ?? views[0];
    fill(forms, views.map(({ element }) => element));
    state.selected?.element.classList.toggle("selected", state.canWrite);
  };
  const refresh = async (key) => {
    const before = state.scorecard;
    state.scorecard = await loadScorecard(sessionId, state.signal);
    const hasChanged = rubricVersionId(before) !== rubricVersionId(state.scorecard);
    // Keep input in other criteria. After a rubric change, also keep scores saved for the old version.
    const unsavedViews = state.views.filter((view) => hasChanged || (view.key !== key && view.isChanged()));
    keepDrafts(unsavedViews.map(unsavedInput), hasChanged);
    render();
    storeDrafts();
    if (hasChanged) summary.querySelector(".notice").focus();
    else state.views.find((view) => view.key === key)?.focus();
  };
  function keepDrafts(drafts, hasChanged) {
    state.drafts = new Map(drafts.map((input) => [input.criterion.key, fitDraft(input, state.scorecard)]).filter(([, draft]) => draft));
    if (hasChanged) state.removedInput = drafts.filter(({ criterion, isChanged }) => isChanged && !state.drafts.has(criterion.key));
  }
  function storeDrafts() {
    const drafts = state.views.filter((view) => view.isChanged()).map(unsavedInput);
    storeDraft(me, draftName, drafts.length ? { rubric: rubricVersionId(state.scorecard), drafts } : null);
  }
  /** Restore input from before the user left the page or signed in again. */
  const restoreDrafts = () => {
    const stored = state.canWrite && loadDraft(me, draftName);
    if (!stored) return render();
    keepDrafts(stored.drafts, stored.rubric !== rubricVersionId(state.scorecard));
    render();
    const restored = state.views.filter((view) => state.drafts.has(view.key) && view.isChanged());
    if (restored.length) toast(t("scoring.restored"));
    for (const view of restored) if (state.drafts.get(view.key).replaces !== view.replaces) view.showChanged();
  };
  const onPick = (event) => state.selected?.addEvidence(event);
  const onLoad = (events) => {
    state.events = new Map(events.map((event) => [event.id, event]));
    for (const view of state.views) view.showEvidence();
  };
  const recording = !session.erasedAt && h(
    "section",
    { class: "panel scoring-recording", "aria-label": t("scoring.recording") },
    h("h2", {}, t("scoring.recording")),
    state.canWrite && h("p", { class: "quiet" }, t("scoring.evidenceHint")),
    timelineView({ sessionId, signal: state.signal, onPick, onLoad }),
  );
  restoreDrafts();
  return [
    head,
    session.erasedAt ? erasedNotice(session) : !state.canWrite && h("p", { class: "notice" }, t("scoring.readOnly")),
    h("div", { class: "scoring-columns" }, recording, h("section", { "aria-label": scorecard.rubricName }, summary, forms, decisionPanel(state))),
  ];
}

const unsavedInput = (view) => ({ criterion: view.criterion, draft: view.draft(), isChanged: view.isChanged() });

const rubricVersionId = ({ rubricId, rubricVersion }) => `${rubricId} ${rubricVersion}`;

/** Fit a draft to the current rubric version: reset a changed level, and return null if the criterion is gone. */
function fitDraft({ criterion: { key, levels }, draft }, scorecard) {
  const criterion = scorecard.criteria.find((current) => current.key === key);
  if (!criterion) return null;
  const [before, after] = [levels, criterion.levels].map((list) => list.find(({ value }) => value === draft.value));
  const isSame = before?.label === after?.label && before?.description === after?.description;
  return { ...draft, value: isSame ? draft.value : null };
}

/** Build a notice that the rubric has changed, with the input for removed criteria. */
function rubricChangedNotice(removedInput) {
  const comments = removedInput.map(({ criterion, draft }) => h("li", {}, h("strong", {}, criterion.title), ": ", draft.comment || t("scoring.noComment")));
  return h(
    "div",
    { class: "notice warn", tabindex: "-1" },
    h("strong", {}, t("scoring.rubricChangedTitle")),
    h("p", {}, t("scoring.rubricChanged")),
    comments.length > 0 && [h("p", {}, t("scoring.removedCriteria")), h("ul", {}, comments)],
  );
}

function overview({ scorecard, me, canWrite, removedInput }) {
  const id = api.callerId(me);
  const scoredCount = scorecard.criteria.filter(({ scores }) => scores.some(({ reviewer }) => reviewer.id === id)).length;
  return [
    removedInput && rubricChangedNotice(removedInput),
    h("h2", {}, scorecard.rubricName, " ", h("span", { class: "quiet" }, t("scoring.version", { n: scorecard.rubricVersion }))),
    canWrite && h("p", {}, t("scoring.progress", { done: scoredCount, n: scorecard.criteria.length })),
    scorecard.othersHidden
      ? h("p", { class: "quiet" }, t("scoring.othersHidden"))
      : scorecard.total !== null && h("p", {}, t("scoring.total", { total: totalText(scorecard) })),
  ];
}
