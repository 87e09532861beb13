// Compare two sessions: summary, scores, metrics with their cohort, and final changes.

import * as api from "../shared/api.js";
import { field } from "../shared/dialogs.js";
import { alignedDiffs } from "../shared/diff.js";
import { h } from "../shared/dom.js";
import { describeFindings, loadMark } from "../shared/findings.js";
import { cohortNotes, directionText, METRICS, valueText } from "../shared/metrics.js";
import { candidateName, workStatus } from "../shared/names.js";
import { formatNumber } from "../shared/numbers.js";
import { metricPlot } from "../shared/plots.js";
import * as changes from "./report_changes.js";
import { decisionText } from "../decisions/decision.js";
import { scoreText, largestSpread, spreadText } from "../shared/scores.js";
import { renderAsync, renderPageAsync } from "../shared/states.js";
import { testResults } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { untrustedName } from "../shared/untrusted.js";

export async function show(main, { firstId, secondId }, { signal, setTitle, go }) {
  setTitle(t("compare.title"));
  await renderPageAsync(
    main,
    t("compare.title"),
    () => load([firstId, secondId], signal),
    (data) => page(data, go),
  );
}

async function load(ids, signal) {
  const sessions = ids.map((id) => api.get(`/v1/sessions/${id}`, { signal }));
  const [first, second, { cohortStats }, results] = await Promise.all([
    ...sessions.map((session, n) => loadSide(session, `/v1/sessions/${ids[n]}`, signal)),
    api.get(`/v1/sessions/${ids[0]}/cohort-stats`, { signal }),
    sessions[0].then(({ assessmentId }) => api.all(`/v1/assessments/${assessmentId}/results`, "results", { signal })),
  ]);
  const sides = [first, second];
  if (first.name === second.name) for (const side of sides) side.name += ` (${side.session.candidateId.slice(-6)})`;
  // Checking a long recording takes a while, so the page does not wait for it.
  for (const side of sides) {
    const integrity = api.get(`/v1/sessions/${side.session.id}/integrity`, { signal });
    integrity.catch(() => {}); // Handled where the findings are shown.
    side.integrity = () => integrity;
  }
  return { sides, cohort: cohortStats, results: results.filter(({ sessionId }) => sessionId) };
}

async function loadSide(loadingSession, path, signal) {
  const [session, scores, diff] = await Promise.all([loadingSession, api.get(`${path}/scores`, { signal }), changes.load({ path, signal })]);
  return { session, scores, diff, name: candidateName(session, session) };
}

function page(data, go) {
  const { sides } = data;
  const [first, second] = sides;
  const swap = () => go(`/compare/${second.session.id}/${first.session.id}`);
  return [
    h(
      "div",
      { class: "page-head" },
      h(
        "div",
        {},
        h("h1", { tabindex: "-1" }, t("compare.title")),
        h("p", {}, sides.map(({ session, name }, n) => [n > 0 && " · ", h("a", { href: `#/sessions/${session.id}` }, untrustedName(name))])),
        h("p", { class: "quiet" }, t("compare.intro")),
      ),
      h("div", { class: "actions" }, h("button", { type: "button", class: "secondary", onclick: swap }, t("compare.swap"))),
    ),
    chooser(data, go),
    h("div", { class: "compare-top" }, section("summary", summaryTable(sides)), section("criteria", criteria(sides))),
    section("metrics", metrics(data)),
    section("changes", finalDiffs(sides)),
  ];
}

function section(name, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, t(`compare.${name}`)), content);
}

/** Build a field to replace the second session with another one from the assessment. */
function chooser({ sides: [first, second], results }, go) {
  const others = results.filter(({ sessionId }) => sessionId !== first.session.id);
  const option = (result) => {
    const name = candidateName(result, first.session);
    return h("option", { value: result.sessionId, selected: result.sessionId === second.session.id }, name);
  };
  const isListed = others.some(({ sessionId }) => sessionId === second.session.id);
  const current = !isListed && h("option", { value: second.session.id, selected: true }, second.name);
  const select = h("select", {}, current, others.map(option));
  const submit = (event) => {
    event.preventDefault();
    go(`/compare/${first.session.id}/${select.value}`);
  };
  // A browser can report a change for each arrow key.
  return h("form", { class: "compare-other", onsubmit: submit }, field(t("compare.otherSession"), select), h("button", { type: "submit", class: "secondary" }, t("compare.show")));
}

function criteria(sides) {
  const [first, second] = sides;
  const [firstScores, secondScores] = [first.scores, second.scores];
  const hidden = [first, second].filter(({ scores }) => scores.othersHidden).map(({ name }) => h("p", { class: "notice" }, t("compare.hidden", { name })));
  if (!firstScores.rubric && !secondScores.rubric) return h("p", {}, t("compare.noScores"));
  if (!firstScores.rubric || firstScores.rubricId !== secondScores.rubricId) return h("p", { class: "notice" }, t("compare.differentRubrics"));
  if (firstScores.rubricVersion !== secondScores.rubricVersion) return [hidden, h("p", { class: "notice" }, t("compare.differentVersions"))];
  if (hidden.length === 2) return hidden;
  if (![firstScores, secondScores].some((scorecard) => !scorecard.othersHidden && scorecard.criteria.some(({ mean }) => mean !== null))) return [hidden, h("p", {}, t("compare.noScores"))];
  const mean = ({ scores }, key) => {
    if (scores.othersHidden) return scoreText(scores);
    const { mean: value, highest } = scores.criteria.find((each) => each.key === key);
    return value === null ? t("report.notScored") : t("scores.total", { total: formatNumber(value), highest });
  };
  return [hidden, table(sides, firstScores.criteria.map(({ key, title }) => [title, ...sides.map((side) => mean(side, key))]), ({ integrity }) => loadMark(integrity, true))];
}

function metrics({ sides, cohort, results }) {
  const isShared = sides[0].session.assessmentId === sides[1].session.assessmentId;
  const metricsTable = table(sides, METRICS.map((metric) => metricRow(metric, sides)), ({ integrity }) => loadMark(integrity));
  const running = sides.filter(({ session }) => !session.metrics).map(({ name }) => h("p", { class: "notice" }, t("compare.running", { name })));
  if (!isShared || !cohort) return [!isShared && h("p", { class: "notice" }, t("compare.differentAssessments")), running, metricsTable];
  const cards = METRICS.map((metric) => metricCard(metric, cohort.summary[metric.name], results, sides));
  return [
    h("p", { class: "quiet" }, [t("compare.cohort", { n: cohort.sessionCount }), ...cohortNotes(cohort)].join(" ")),
    running,
    h("div", { class: "compare-metrics" }, cards),
    metricsTable,
  ];
}

function metricRow(metric, sides) {
  const text = ({ session }) => {
    const value = session.metrics?.[metric.name] ?? null;
    return value === null ? t("compare.unknown") : valueText(metric, value, session);
  };
  return [metric.label, ...sides.map(text)];
}

function metricCard(metric, summary, results, sides) {
  const name = (result) => candidateName(result, sides[0].session);
  const marked = sides.map(({ session }) => session.id);
  return h(
    "div",
    {},
    h("h3", {}, metric.label),
    h("p", { class: "quiet" }, `${t("board.n", { n: summary.n })} · ${directionText(summary)}`),
    metricPlot(metric, summary, results, { name, description: t("compare.metricsPlot"), marked }),
  );
}

function summaryTable(sides) {
  const timeOrDash = (timestamp) => (timestamp ? formatDateTime(timestamp) : "–");
  const rows = [
    [t("decisions.title"), ({ session, integrity }) => [decisionText(session), loadMark(integrity, true)]],
    [t("compare.score"), ({ scores, integrity }) => [scoreText(scores), loadMark(integrity, true)]],
    [t("compare.reviewers"), ({ scores }) => reviewersText(scores)],
    [t("compare.tests"), testsText],
    [t("compare.integrity"), integrityCell],
    [t("compare.status"), ({ session }) => t(`report.statuses.${workStatus(session)}`)],
    [t("compare.started"), ({ session }) => timeOrDash(session.redeemedAt)],
    [t("compare.closed"), ({ session }) => timeOrDash(session.closedAt)],
  ];
  return table(sides, rows.map(([label, render]) => [label, ...sides.map(render)]));
}

function integrityCell({ integrity }) {
  const place = h("div");
  const codes = ({ findings }) => [...new Set(findings.map(({ code }) => code))];
  renderAsync(place, integrity, (response) => describeFindings({ codes: codes(response) }), t("report.integrity.checking"));
  return place;
}

function reviewersText(scores) {
  const n = scores.reviewerCount;
  if (!n) return t("compare.none");
  const spread = scores.othersHidden ? null : largestSpread(scores);
  const isDisputed = spread !== null && scores.criteria.some(({ disagreement }) => disagreement);
  return [t("board.reviewers", { n }), spread !== null && `, ${spreadText(spread)}`, isDisputed && h("p", { class: "quiet" }, t("scoring.discuss"))];
}

function table(sides, rows, mark = () => null) {
  const head = h("tr", {}, h("td", {}), sides.map((side) => h("th", { scope: "col" }, untrustedName(side.name), mark(side))));
  return h(
    "table",
    { class: "compare-table" },
    h("thead", {}, head),
    h("tbody", {}, rows.map(([label, ...cells]) => h("tr", {}, h("th", { scope: "row" }, label), cells.map((cell) => h("td", {}, cell))))),
  );
}

/** List the test results with their sources. */
function testsText({ session, integrity }) {
  const results = testResults(session, (isStored) => loadMark(integrity, isStored));
  return results.map(([label, result, detail]) => h("div", {}, label, ": ", result, detail && h("span", { class: "quiet" }, ` (${detail})`)));
}

function finalDiffs(sides) {
  const files = ({ diff }) => (diff.noDiffReason === null ? changes.changedFiles(diff) : []);
  const note = ({ session, diff }) => {
    if (diff.noDiffReason !== null) return h("p", { class: "quiet" }, changes.noDiffText(diff, session));
    return [changes.baseNotice(diff.submission), !files({ diff }).length && h("p", { class: "quiet" }, t("report.diff.noneHint"))];
  };
  const columns = sides.map((side) => ({ name: side.name, files: files(side), attributed: side.diff.noDiffReason === null && changes.isAttributed(side.diff.submission) }));
  return [
    h("div", { class: "compare-columns" }, sides.map((side) => h("div", {}, h("h3", {}, untrustedName(side.name)), note(side)))),
    alignedDiffs(columns, { sharesTask: sides[0].session.assessmentId === sides[1].session.assessmentId }),
  ];
}
