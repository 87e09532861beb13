// Test results with their sources (R51): the candidate's last run, the team's result, and the hidden tests.

import * as api from "./api.js";
import { h } from "./dom.js";
import { recordingMark } from "./findings.js";
import { t } from "./texts.js";
import { untrusted } from "./untrusted.js";

// States of a run with a result.
const COUNTED = ["finished", "untrusted"];
const PENDING = ["waiting", "running"];

/** The name of a test without the class name that Node.js gives to all tests. */
export const testName = (name) => untrusted(name.replace(/^test::/, ""));

export const isPending = ({ state }) => PENDING.includes(state);

/** Load the text for a pending run: whether a runner is running, or how to start one. */
export async function loadRunnerHint(signal) {
  const { alive } = await api.get("/v1/org/runners", { query: { limit: 1 }, signal });
  return t(alive ? "runs.waiting" : "runs.noRunner", { url: location.origin });
}

/** `9 of 12`, or the state of a run without a result. */
export function runResult({ state, passed, total }) {
  return COUNTED.includes(state) && total !== null ? t("tests.passed", { passed, total }) : t(`tests.states.${state}`);
}

/** List what makes a run's result differ from others: `untrusted, older tests`. */
export function runMarks({ state, isComplete, isCurrent, inProcess }) {
  const marks = { untrusted: state === "untrusted", incomplete: isComplete === false, older: !isCurrent, inProcess };
  return Object.keys(marks).filter((name) => marks[name]).map((name) => t(`tests.marks.${name}`)).join(", ");
}

/** Describe a result as `[text, detail]`. The detail names the source. */
function describeHidden(run) {
  return [runResult(run), [t("tests.sources.runner"), runMarks(run)].filter(Boolean).join(", ")];
}

export function describeOwn({ testsPassed, testsPassedSource }) {
  return [t(testsPassed ? "tests.outcomes.passed" : "tests.outcomes.failed"), t(`tests.sources.${testsPassedSource}`)];
}

/**
 * List a session's results: `[label, text, detail]`. The team's result replaces the candidate's in the metrics.
 *
 * mark -- `(isStored) => node`, a `recordingMark` for each result
 */
export function testResults({ metrics, testResult, hiddenTests }, mark = () => null) {
  const hasOwn = metrics && metrics.testsPassed !== null && !testResult;
  const results = [
    hiddenTests && [t("tests.hidden"), ...describeHidden(hiddenTests)],
    testResult && [t("tests.team"), t(testResult.skipped ? "tests.countsWithSkipped" : "tests.counts", testResult), t("tests.sources.team")],
    hasOwn && [t("tests.own"), ...describeOwn(metrics)],
  ]
    .filter(Boolean)
    .map(([label, text, detail]) => [label, [text, mark(label !== t("tests.own"))], detail]);
  return results.length ? results : [[t("tests.own"), t("tests.none"), null]];
}

/** Build a cell of a result's `hiddenTests`, or null. Marks it if the row's `integrityFindings` question it. */
export function hiddenCell(run, findings) {
  if (!run) return null;
  const [text, detail] = describeHidden(run);
  return [text, " ", recordingMark(findings?.codes ?? [], true), h("span", { class: "quiet cell-note" }, detail)];
}
