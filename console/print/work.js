// Metrics, cohort, phases, tokens, cost and final diff in the printable report.

import { diffView } from "../shared/diff.js";
import { h } from "../shared/dom.js";
import { cohortNotes, directionText, isUnrecorded, isUnreliable, METRICS, observationsText, rankText, valueText } from "../shared/metrics.js";
import { numberOrDash } from "../shared/numbers.js";
import { models, numericTable, phases } from "../session/report_usage.js";
import { baseNotice, changedFiles, isAttributed, noDiffText } from "../session/report_changes.js";
import { t } from "../shared/texts.js";
import { untrusted } from "../shared/untrusted.js";

const MAX_FILES = 200;
const MAX_LINES = 400;
const MAX_FILE_LINES = 200;
const table = (caption, names, rows, numeric, kind = "") => numericTable(caption, names, rows, numeric, `print-table ${kind}`);

/** Build the section with each metric's definition and distribution. */
export function cohortSection({ session, cohort }) {
  if (!session.metrics) return h("p", {}, t("print.noMetrics"));
  const columns = ["metric", "value", "n", "lowerQuartile", "median", "upperQuartile"].map((name) => t(`print.columns.${name}`));
  const rows = METRICS.map((metric) => {
    const { name, label, definition, format } = metric;
    const summary = cohort?.summary[name];
    const rank = summary && [observationsText(name, summary), !isUnrecorded(name, session) && rankText(name, cohort, summary)].filter(Boolean).join(", ");
    return [
      [
        h("strong", {}, label),
        h("div", { class: "quiet" }, definition),
        summary && h("div", { class: "quiet" }, directionText(summary), ".", rank && ` ${t("print.rank", { rank })}`),
        summary && isUnreliable(name, summary) && h("div", { class: "quiet" }, t("metrics.few")),
      ],
      valueText(metric, summary?.value ?? session.metrics[name], session),
      summary ? numberOrDash(summary.n) : "–",
      format(summary?.lowerQuartile),
      format(summary?.median),
      format(summary?.upperQuartile),
    ];
  });
  return [
    h("p", {}, cohort && `${t("print.cohort", { n: cohort.sessionCount })} `, t("print.metricsVersion", { version: session.metrics.derivationVersion })),
    cohort && cohortNotes(cohort).map((note) => h("p", { class: "notice warn" }, note)),
    table(t("print.sections.metrics"), columns, rows, [1, 2, 3, 4, 5], "long"),
  ];
}

/** Build the time by phase, tokens and cost. */
export function workSection(analytics) {
  return [phases(analytics, "print-table"), h("h3", {}, t("report.usage.models")), models(analytics, "print-table")];
}

/** Build the list of files, and the diff up to a limit. */
export function diffSection({ session, diff }) {
  if (diff.noDiffReason !== null) return h("p", {}, noDiffText(diff, session));
  const { submission, clientDiff } = diff;
  const changed = changedFiles(diff);
  const files = changed.slice(0, MAX_FILES);
  const total = clientDiff === null ? diff.total : changed.length;
  const notes = [baseNotice(submission), clientDiff !== null && h("p", {}, t("report.diff.fromClient"))];
  if (!files.length) return [notes, h("p", {}, t("report.diff.noneHint"))];
  let remainingLines = MAX_LINES;
  const printedFiles = files.filter(({ linesAdded, linesRemoved }) => {
    const lines = linesAdded + linesRemoved;
    if (lines > MAX_FILE_LINES || lines > remainingLines) return false;
    remainingLines -= lines;
    return true;
  });
  const rows = files.map((file) => [h("code", {}, untrusted(file.path)), t(`report.diff.${file.status}`), `+${file.linesAdded}`, `−${file.linesRemoved}`]);
  const columns = ["file", "change", "added", "removed"].map((name) => t(`print.columns.${name}`));
  const view = diffView(printedFiles, { attributed: isAttributed(submission) });
  for (const details of view.querySelectorAll("details")) details.open = true;
  const omitted = total - printedFiles.length;
  return [
    notes,
    h("p", {}, diffText(submission, total)),
    table(t("print.sections.diff"), columns, rows, [2, 3], "long"),
    omitted > 0 && h("p", { class: "notice" }, t("print.diffLimit", { n: omitted, lines: MAX_LINES })),
    view,
  ];
}

function diffText(submission, n) {
  if (!isAttributed(submission)) return `${t("report.diff.files", { n })}.`;
  return t("print.diffText", { n, counted: numberOrDash(submission.countedLines), notRecorded: numberOrDash(submission.notRecordedLines) });
}
