// Plots of an assessment's metrics, above its candidates.

import { fill, h } from "../shared/dom.js";
import { cohortNotes, directionText, METRICS } from "../shared/metrics.js";
import { markPlot, stripPlot } from "../shared/plots.js";
import { t } from "../shared/texts.js";

const MAX_WIDTH = 560;
const PANEL_PADDING = 42;

/**
 * Show a cohort's plots in a container. Returns `{mark(ids)}`.
 *
 * stats -- `cohortStats`; null before the first session closes
 * rows -- all results; `isTruncated` is true if there are more
 * name -- `(row) => text`
 * onHover, onSelect -- called with a candidate's id
 */
export function showCohort(container, { stats, rows, isTruncated, ...options }) {
  if (!stats) {
    fill(container, h("p", { class: "quiet" }, t("board.cohortNone")));
    return { mark() {} };
  }
  const notes = [...cohortNotes({ ...stats, smallNote: null }), isTruncated && t("board.cohortTruncated", { n: rows.length })].filter(Boolean);
  const sections = METRICS.map((metric) => h("section", {}, heading(metric, stats.summary[metric.name])));
  const isOpen = container.querySelector("details")?.open ?? matchMedia("(min-width: 720px)").matches;
  fill(
    container,
    h(
      "details",
      { class: "panel cohort", open: isOpen },
      h("summary", {}, h("h2", {}, t("board.cohort"))),
      stats.small && h("p", { class: "notice warn" }, stats.smallNote),
      h("div", { class: "cohort-plots" }, sections),
      notes.length > 0 && h("p", { class: "quiet" }, notes.join(" ")),
    ),
  );
  const closedRows = rows.filter(({ metrics }) => metrics);
  const width = sections[0].clientWidth || Math.min(MAX_WIDTH, container.clientWidth - PANEL_PADDING);
  const figures = METRICS.map((metric) => metricPlot(metric, stats.summary[metric.name], closedRows, { ...options, width }));
  sections.forEach((section, n) => section.append(figures[n] ?? h("p", { class: "quiet" }, t("metrics.none"))));
  return { mark: (ids) => figures.forEach((figure) => figure && markPlot(figure, ids)) };
}

function heading(metric, summary) {
  const note = `${t("board.n", { n: summary.n })} · ${directionText(summary)}`;
  return h("div", { class: "cohort-head" }, h("h3", { title: metric.definition }, metric.label), h("p", { class: "quiet" }, note));
}

/** Plot a metric. Returns null if no session has a value. */
function metricPlot(metric, summary, rows, { name, ...options }) {
  const values = rows
    .filter(({ metrics }) => metrics[metric.name] !== null)
    .map((row) => ({ id: row.candidateId, value: row.metrics[metric.name], label: name(row) }));
  if (!summary.n || !values.length) return null;
  return stripPlot({
    label: t("board.plot", { label: metric.label, n: summary.n }),
    description: describe(metric, summary),
    format: metric.format,
    values,
    median: summary.median,
    quartiles: [summary.lowerQuartile, summary.upperQuartile],
    ...options,
  });
}

function describe(metric, summary) {
  const { median, lowerQuartile: lower, upperQuartile: upper, minimum, maximum } = summary;
  const values = Object.fromEntries(Object.entries({ median, lower, upper, minimum, maximum }).map(([name, value]) => [name, metric.format(value)]));
  return `${metric.definition} ${t("board.plotText", { ...values, direction: directionText(summary) })}`;
}
