// Scoring: the rubric beside the record. Each criterion is saved on its own, in the API.

import * as api from "./api.js";
import { ask, field } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { criterionForm } from "./scoring_form.js";
import { candidateName } from "./names.js";
import { empty, loadedPage } from "./states.js";
import { t } from "./texts.js";
import { timelineView } from "./timeline.js";
import { untrusted } from "./untrusted.js";

const DECISIONS = ["undecided", "advanced", "rejected", "hired"];

export async function show(main, { sessionId }, { me, may, signal, setTitle }) {
  setTitle(t("scoring.title"));
  await loadedPage(
    main,
    t("scoring.title"),
    () => load(sessionId, signal),
    (data) => page({ ...data, me, mayWrite: may("write"), sessionId, signal }),
  );
}

async function load(sessionId, signal) {
  const [session, sheet] = await Promise.all([
    api.get(`/v1/sessions/${sessionId}`, { signal }),
    loadSheet(sessionId, signal),
  ]);
  const { candidate } = await api.get(`/v1/candidates/${session.candidateId}`, { signal });
  return { session, sheet, candidate };
}

/** The scores in the rubric's current version, by which the next score is given. */
async function loadSheet(sessionId, signal) {
  const path = `/v1/sessions/${sessionId}/scores`;
  const sheet = await api.get(path, { signal });
  if (sheet.rubricVersion === sheet.currentRubricVersion) return sheet;
  return api.get(path, { query: { version: sheet.currentRubricVersion }, signal });
}

function page(context) {
  const { session, sheet, sessionId } = context;
  const head = h(
    "div",
    { class: "page-head" },
    h(
      "div",
      {},
      h("h1", { tabindex: "-1" }, t("scoring.heading"), " ", untrusted(candidateName(session, session))),
      h("p", { class: "quiet" }, session.assessmentTitle),
    ),
    h("div", { class: "actions" }, h("a", { class: "secondary", href: `#/sessions/${sessionId}` }, t("scoring.report"))),
  );
  if (!sheet.rubric) return [head, h("div", { class: "panel" }, empty(t("scoring.noRubricTitle"), t("scoring.noRubric")))];
  const forms = h("div", { class: "scoring-forms" });
  const summary = h("div", { class: "panel", role: "status" });
  const state = { ...context, selected: null, events: new Map() };
  const render = () => {
    fill(summary, overview(state));
    const views = state.sheet.criteria.map((criterion) => criterionForm(criterion, { state, refresh }));
    state.views = views;
    state.selected = views.find(({ key }) => key === state.selected?.key) ?? views[0];
    fill(forms, views.map(({ element }) => element));
    state.selected?.element.classList.toggle("selected", state.mayWrite);
  };
  const refresh = async (key) => {
    // What is typed in the other criteria stays.
    const drafts = new Map(state.views.filter((view) => view.key !== key && view.isChanged()).map((view) => [view.key, view.draft()]));
    state.sheet = await loadSheet(sessionId, state.signal);
    state.drafts = drafts;
    render();
    state.views.find((view) => view.key === key)?.focus();
  };
  const onPick = (event) => state.selected?.addEvidence(event);
  const onLoad = (events) => {
    state.events = new Map(events.map((event) => [event.id, event]));
    for (const view of state.views) view.showEvidence();
  };
  const record = h(
    "section",
    { class: "panel scoring-record", "aria-label": t("scoring.record") },
    h("h2", {}, t("scoring.record")),
    state.mayWrite && h("p", { class: "quiet" }, t("scoring.pick")),
    timelineView({ sessionId, signal: state.signal, onPick, onLoad }),
  );
  render();
  return [
    head,
    !state.mayWrite && h("p", { class: "notice" }, t("scoring.readOnly")),
    h("div", { class: "scoring-columns" }, record, h("section", { "aria-label": sheet.rubricName }, summary, forms, decision(state))),
  ];
}

function overview({ sheet, me }) {
  const id = me.person?.id ?? me.id;
  const mine = sheet.criteria.filter(({ scores }) => scores.some(({ reviewer }) => reviewer.id === id)).length;
  return [
    h("h2", {}, sheet.rubricName, " ", h("span", { class: "quiet" }, t("scoring.version", { n: sheet.rubricVersion }))),
    h("p", {}, t("scoring.progress", { done: mine, n: sheet.criteria.length })),
    sheet.othersHidden
      ? h("p", { class: "quiet" }, t("scoring.alone"))
      : sheet.total !== null && h("p", {}, t("scoring.total", { total: sheet.total, highest: sheet.highestTotal })),
  ];
}

function decision({ candidate, mayWrite }) {
  const text = h("p", {});
  const update = (shown) =>
    fill(text, t(`scoring.decisions.${shown.decision}`), shown.decisionReason && [": ", h("bdi", {}, shown.decisionReason)]);
  update(candidate);
  const change = () => {
    const value = h("select", { name: "decision" }, DECISIONS.map((each) => h("option", { value: each, selected: each === candidate.decision }, t(`scoring.decisions.${each}`))));
    const reason = h("textarea", { name: "reason", rows: 4, maxlength: 2000, required: true });
    const save = async () => {
      const body = { decision: value.value, reason: reason.value.trim() || null };
      const response = await api.put(`/v1/candidates/${candidate.id}/decision`, body);
      candidate = response.candidate;
      update(candidate);
    };
    return ask({
      title: t("scoring.decide"),
      content: [field(t("scoring.decision"), value), field(t("scoring.reason"), reason, t("scoring.decisionReason"))],
      save,
    });
  };
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("scoring.decision")),
    text,
    mayWrite && h("button", { type: "button", class: "secondary", onclick: change }, t("scoring.decide")),
  );
}
