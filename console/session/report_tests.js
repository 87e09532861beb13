// Test results and the runs of hidden tests: a tab of the report.

import * as api from "../shared/api.js";
import { runAction } from "../shared/dialogs.js";
import { fill, h, pairs } from "../shared/dom.js";
import { evidenceButton } from "../shared/evidence.js";
import { loadMark } from "../shared/findings.js";
import { formatNumber } from "../shared/numbers.js";
import { renderAsync } from "../shared/states.js";
import { isPending, loadRunnerHint, runMarks, runResult, testName, testResults } from "../shared/tests.js";
import { has, t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const BATCH_SIZE = 200;

export async function load({ path, signal }) {
  const runs = await api.all(`${path}/test-runs`, "testRuns", { signal });
  const shown = runs.find(({ counts }) => counts) ?? runs[0];
  return { runs, shown: shown && (await loadRun({ path, signal }, shown)) };
}

async function loadRun({ path, signal }, { id }) {
  const { testRun } = await api.get(`${path}/test-runs/${id}`, { signal });
  return testRun.state === "waiting" ? { ...testRun, hint: await loadRunnerHint(signal) } : testRun;
}

export function render(data, report) {
  const view = h("div");
  show(data);
  return view;

  function show({ runs, shown }) {
    fill(view, results(report, shown, actionButton(runs)), shown && h("section", { class: "panel" }, h("h2", {}, t("tests.hidden")), runView(shown, report)), earlierRuns(runs.filter(({ id }) => id !== shown.id), report));
  }

  /** Build the button that refreshes pending runs, which reads the session each time, or runs the tests again. */
  function actionButton(runs) {
    const { closedAt, submission } = report.session;
    const isRunning = runs.some(isPending);
    const canRun = report.can("write") && closedAt && ["read", "stored", "verified"].includes(submission?.state);
    if (!isRunning && !canRun) return null;
    const run = async () => {
      if (!isRunning) await api.post(`${report.path}/test-runs`);
      show(await load(report));
      await report.refresh();
    };
    const text = t(isRunning ? "report.refresh" : runs.length ? "runs.again" : "runs.run");
    return h("button", { type: "button", class: "secondary", onclick: ({ currentTarget }) => runAction(currentTarget, run) }, text);
  }
}

function results({ session, integrity }, shown, button) {
  const hasNone = !shown && h("p", { class: "quiet" }, t("runs.none"));
  const list = pairs(testResults({ ...session, hiddenTests: shown ?? session.hiddenTests }, (isStored) => loadMark(integrity, isStored)));
  return h("section", { class: "panel" }, h("h2", {}, t("runs.results")), list, hasNone, button && h("div", { class: "actions" }, button));
}

function runView(run, report) {
  const { id, name, engine } = run.runner ?? {};
  const stateText = run.hint ?? (has(`runs.stateTexts.${run.state}`) && t(`runs.stateTexts.${run.state}`));
  const code = (text) => text && h("code", {}, untrusted(text));
  return [
    stateText && h("div", { class: isPending(run) ? "notice" : "notice bad" }, h("p", {}, stateText), run.reason && longText(run.reason)),
    run.isComplete === false && h("p", { class: "notice warn" }, t("runs.incomplete")),
    !run.isCurrent && h("p", { class: "notice warn" }, t("runs.older")),
    run.inProcess && h("p", { class: "notice warn" }, t("runs.inProcess")),
    run.tests?.length > 0 && testTable(run.tests, `${t("tests.hidden")}, ${formatDateTime(run.createdAt)}`, report),
    pairs([
      [t("runs.fields.runner"), id && untrusted([name, engine].filter(Boolean).join(", "))],
      [t("runs.fields.createdAt"), formatDateTime(run.createdAt)],
      [t("runs.fields.finishedAt"), run.finishedAt && formatDateTime(run.finishedAt)],
      [t("runs.fields.attempts"), run.attempts > 1 && run.attempts],
      [t("runs.fields.submission"), code(run.submissionSha256)],
      [t("runs.fields.tests"), code(run.testsSha256)],
      [t("runs.fields.image"), engine !== "bubblewrap" && code([run.image, run.imageDigest].filter(Boolean).join(" "))],
    ]),
  ];
}

/** Build the table of tests, those that did not pass first, BATCH_SIZE at a time. */
function testTable(tests, label, report) {
  const rows = tests.toSorted((a, b) => (a.outcome === "passed") - (b.outcome === "passed"));
  const body = h("tbody");
  const more = h("button", { type: "button", class: "secondary", onclick: add }, t("report.conversation.more"));
  add();
  const names = ["test", "outcome", "time"].map((name) => h("th", { scope: "col", class: name === "time" ? "numeric" : null }, t(`runs.columns.${name}`)));
  return [h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, h("table", { class: "plain-table" }, h("thead", {}, h("tr", {}, names)), body)), more];

  function add() {
    body.append(...rows.splice(0, BATCH_SIZE).map((test) => testRow(test, report)));
    more.hidden = !rows.length;
  }
}

function testRow({ name, outcome, durationMs, output }, report) {
  const mark = { passed: "mark-good", failed: "mark-bad", missing: "mark-bad" }[outcome];
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, testName(name)), evidenceButton(report, `test:${name}`, name), output && h("details", {}, h("summary", {}, t("runs.output")), h("div", { class: "event-text code" }, longText(output)))),
    h("td", {}, h("span", { class: mark }, t(`runs.outcomes.${outcome}`))),
    h("td", { class: "numeric" }, durationMs === null ? "–" : t("runs.milliseconds", { n: formatNumber(durationMs) })),
  );
}

function earlierRuns(runs, report) {
  if (!runs.length) return null;
  return h("section", { class: "panel" }, h("h2", {}, t("runs.others")), runs.map((run) => earlierRun(run, report)));
}

function earlierRun(run, report) {
  const content = h("div");
  const open = ({ currentTarget }) => currentTarget.open && !content.firstChild && renderAsync(content, () => loadRun(report, run), (loaded) => runView(loaded, report));
  const text = [`${formatDateTime(run.createdAt)}: ${runResult(run)}`, runMarks(run)].filter(Boolean).join(", ");
  return h("details", { class: "test-run", ontoggle: open }, h("summary", {}, text), content);
}
