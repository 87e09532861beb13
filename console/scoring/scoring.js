// The scorecard beside a session's report. One save for all criteria and the recommendation.

import * as api from "../shared/api.js";
import { ask, onSubmit, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { formatNumber } from "../shared/numbers.js";
import { totalText } from "../shared/scores.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { criterionForm } from "./form.js";

const MAX_TODO_ENTRIES = 200;
// `not_found`: a different rubric with the same version number does not contain a criterion.
const CONFLICTS = ["rubric_changed", "score_changed", "not_found"];

/** Load the scores for the rubric's current version. `send` sends a request that returns a scorecard. */
export async function load({ path, signal }, send = () => api.get(`${path}/scores`, { signal })) {
  const scorecard = await send();
  // Scores of a former rubric can have the same version number: only a version selects the current rubric.
  if (scorecard.currentRubricVersion === null) return scorecard;
  return api.get(`${path}/scores`, { query: { version: scorecard.currentRubricVersion }, signal });
}

export function render(scorecard, report) {
  if (!scorecard.rubric) return emptyState(t("scoring.noRubricTitle"), t("scoring.noRubric"));
  const { session, me } = report;
  const canScore = report.canScore && scorecard.currentRubricVersion !== null;
  const draftName = `scores ${session.id}`;
  const forms = h("div", {});
  const summary = h("div", { role: "status" });
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, t("common.save"));
  const next = h("button", { type: "submit", class: "secondary" }, t("scoring.saveAndNext"));
  const state = { report, scorecard, me, canWrite: canScore, selected: null, views: [], events: new Map(), drafts: new Map(), removedInput: null, storeDrafts, withdrawn };

  function show() {
    fill(summary, overview(state, reveal));
    state.views = withRecommendation(state.scorecard).map((criterion) => criterionForm(criterion, state));
    state.selected = state.views.find(({ key }) => key === state.selected?.key) ?? state.views[0];
    fill(forms, state.views.map(({ element }) => element));
    state.selected.element.classList.toggle("selected", canScore);
  }

  /** Show a newer scorecard. Keeps input, except of `savedKeys`; after a rubric change, also scores for the old version. */
  function update(newer, savedKeys = []) {
    const hasChanged = rubricVersionId(newer) !== rubricVersionId(state.scorecard);
    const kept = state.views.filter((view) => hasChanged || (view.isChanged() && !savedKeys.includes(view.key)));
    state.scorecard = newer;
    forms.inert = false;
    keepDrafts(kept.map(unsavedInput), hasChanged);
    show();
    storeDrafts();
    if (hasChanged) summary.querySelector(".notice").focus();
    else if (!showConflicts()) state.selected.focus();
  }

  function keepDrafts(drafts, hasChanged) {
    state.drafts = new Map(drafts.map((input) => [input.criterion.key, fitDraft(input, state.scorecard)]).filter(([, draft]) => draft));
    if (hasChanged) state.removedInput = drafts.filter(({ criterion, isChanged }) => isChanged && !state.drafts.has(criterion.key));
  }

  /** Mark input that would replace a score that the user has not seen. */
  function showConflicts() {
    const outdated = ({ key, replaces, isChanged }) => state.drafts.has(key) && isChanged() && state.drafts.get(key).replaces !== replaces;
    const conflicts = state.views.filter(outdated);
    for (const view of conflicts.toReversed()) view.showChanged();
    return conflicts.length > 0;
  }

  function storeDrafts() {
    const drafts = state.views.filter((view) => view.isChanged()).map(unsavedInput);
    storeDraft(me, draftName, drafts.length ? { rubric: rubricVersionId(state.scorecard), drafts } : null);
  }

  /** Restore input from before the user left the page or signed in again. */
  function restoreDrafts() {
    const stored = canScore && loadDraft(me, draftName);
    if (stored) keepDrafts(stored.drafts, stored.rubric !== rubricVersionId(state.scorecard));
    show();
    if (state.views.some((view) => state.drafts.has(view.key) && view.isChanged())) toast(t("scoring.restored"));
    showConflicts();
  }

  /** Save all changed scores together. Returns whether they were saved. */
  async function save() {
    const changed = state.views.filter((view) => view.isChanged());
    if (!changed.length) return true;
    const scores = changed.map((view) => view.body());
    forms.inert = true;
    try {
      const { rubricId, rubricVersion } = state.scorecard;
      const body = { scores, rubricId, rubricVersion };
      update(await load(report, () => api.put(`${report.path}/scores`, body)), changed.map(({ key }) => key));
    } catch (error) {
      forms.inert = false;
      if (CONFLICTS.includes(error.code)) {
        update(await load(report));
        return false;
      }
      const name = ({ path: [list, n, field, ...rest], message: text }) => (list === "scores" ? { path: [`${scores[n].criterion}.${field}`, ...rest], message: text } : { path: [list], message: text });
      if (error instanceof api.ApiError) error.details = error.details.map(name);
      throw error;
    }
    toast(t("scoring.savedMessage", { n: changed.length }));
    report.refresh();
    return true;
  }

  async function saveAndOpenNext() {
    const nextId = await findNext(report);
    if (!(await save())) return;
    if (nextId) report.go(`/sessions/${nextId}/score?tab=${report.tab}`);
    else toast(t("scoring.allScored"));
  }

  async function withdrawn(key) {
    update(await load(report), [key]);
    report.refresh();
  }

  async function reveal() {
    const all = h("input", { type: "checkbox", name: "all" });
    const content = [h("p", {}, t("scoring.revealText")), h("label", { class: "check-line" }, all, t("scoring.revealAll"))];
    const send = () => api.post(`${all.checked ? `/v1/assessments/${session.assessmentId}` : report.path}/scores/reveal`);
    if (!(await ask({ title: t("scoring.reveal"), content, action: t("scoring.revealAction"), save: send }))) return;
    update(await load(report));
    report.refresh();
  }

  const form = h(
    "form",
    { onkeydown: (event) => handleKey(event, state, { form, next }) },
    summary,
    !canScore && !session.erasedAt && h("p", { class: "notice" }, t(report.canScore ? "scoring.rubricRemoved" : "scoring.readOnly")),
    forms,
    canScore && h("div", { class: "scorecard-foot" }, message, h("div", { class: "actions" }, submit, next), h("p", { class: "quiet" }, t("scoring.keys"))),
  );
  let opensNext = false;
  form.addEventListener("submit", ({ submitter }) => {
    opensNext = submitter === next;
  });
  onSubmit(form, { submit, message, save: () => (opensNext ? saveAndOpenNext() : save()) });
  report.addEvidence = (reference) => (canScore ? state.selected.addEvidence(reference) : toast(t("scoring.rubricRemoved")));
  report.focusScorecard = () => state.selected.focus();
  report.reloadScores = async () => state.scorecard.othersHidden && update(await load(report));
  // A failure is shown by the tabs.
  report.events().then((events) => {
    state.events = new Map(events.map((event) => [event.id, event]));
    for (const view of state.views) view.showEvidence();
  }, () => {});
  restoreDrafts();
  return form;
}

/** Handle Ctrl+Enter, and outside of text fields J, K and the number of a level. */
function handleKey(event, { views, selected }, { form, next }) {
  const { key, target } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(event.shiftKey ? next : null);
  else if (event.ctrlKey || event.metaKey || event.altKey || target.matches("textarea, input:not([type=radio])")) return;
  else if (key === "j" || key === "k") views[views.indexOf(selected) + (key === "j" ? 1 : -1)]?.focus();
  else if (/^\d$/.test(key)) selected.choose(Number(key));
  else return;
  event.preventDefault();
}

/** Return the id of the next session of the assessment that the caller should score, or undefined. */
async function findNext({ session, signal }) {
  const { unscored } = await api.get("/v1/todo", { query: { limit: MAX_TODO_ENTRIES }, signal });
  const entries = unscored.entries.filter(({ assessmentId }) => assessmentId === session.assessmentId);
  const at = entries.findIndex(({ sessionId }) => sessionId === session.id);
  const next = [...entries.slice(at + 1), ...entries.slice(0, Math.max(at, 0))][0]?.sessionId;
  if (next || unscored.count <= unscored.entries.length) return next;
  const { results } = await api.get(`/v1/assessments/${session.assessmentId}/results`, { query: { view: "to_score", limit: 2 }, signal });
  return results.find(({ sessionId }) => sessionId !== session.id)?.sessionId;
}

/** Return the criteria, and the recommendation in their form. */
function withRecommendation({ criteria, recommendation }) {
  return [...criteria, { ...recommendation, key: "recommendation", title: t("scoring.recommendation"), description: null }];
}

const unsavedInput = (view) => ({ criterion: view.criterion, draft: view.draft(), isChanged: view.isChanged() });

const rubricVersionId = ({ rubricId, rubricVersion }) => `${rubricId} ${rubricVersion}`;

/** Fit a draft to the current rubric version: reset a changed level, and return null if the criterion is gone. */
function fitDraft({ criterion: { key, levels }, draft }, scorecard) {
  const criterion = withRecommendation(scorecard).find((current) => current.key === key);
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

function overview({ scorecard, me, canWrite, removedInput }, reveal) {
  const id = api.callerId(me);
  const scoredCount = scorecard.criteria.filter(({ scores }) => scores.some(({ reviewer }) => reviewer.id === id)).length;
  return [
    removedInput && rubricChangedNotice(removedInput),
    h("p", { class: "quiet" }, t("scoring.rubric", { name: scorecard.rubricName, n: scorecard.rubricVersion })),
    canWrite && h("p", {}, t("scoring.progress", { done: scoredCount, n: scorecard.criteria.length })),
    scorecard.othersHidden
      ? [h("p", { class: "quiet" }, t("scoring.othersHidden")), canWrite && h("button", { type: "button", class: "link", onclick: reveal }, t("scoring.reveal"))]
      : scorecard.total !== null && h("p", {}, t("scoring.total", { total: totalText(scorecard), lowest: formatNumber(scorecard.lowestTotal) })),
    canWrite && h("p", { class: "quiet" }, t("scoring.evidenceHint")),
  ];
}
