// The distribution of each metric among an assessment's sessions, above the candidates.

import { fill, h } from "./dom.js";
import { directionText, METRICS } from "./metrics.js";
import { markPlot, stripPlot } from "./plots.js";
import { t } from "./texts.js";

/**
 * The plots of a cohort.
 *
 * stats -- `cohortStats`; null before the first session has ended
 * rows -- all results
 * onHover, onSelect -- called with a candidate's id
 */
export function cohortPlots({ stats, rows, isCut, name, onHover, onSelect }) {
  if (!stats) return { element: h("p", { class: "quiet cohort-none" }, t("board.cohortNone")), mark() {} };
  const ended = rows.filter(({ metrics }) => metrics);
  const drawn = METRICS.map((metric) => metricPlot(metric, stats.summary[metric.name], ended, { name, onHover, onSelect }));
  const notes = [
    stats.open > 0 && t("board.cohortOpen", { n: stats.open }),
    stats.empty > 0 && t("board.cohortEmpty", { n: stats.empty }),
    isCut && t("board.cohortFirst", { n: rows.length }),
  ].filter(Boolean);
  const element = h(
    "details",
    { class: "panel cohort", open: matchMedia("(min-width: 720px)").matches },
    h("summary", {}, h("h2", {}, t("board.cohort"))),
    stats.small && h("p", { class: "notice warn" }, stats.smallNote),
    h("div", { class: "cohort-plots" }, drawn.map(({ element: plot }) => plot)),
    notes.length > 0 && h("p", { class: "quiet" }, notes.join(" ")),
  );
  return { element, mark: (ids) => drawn.forEach(({ figure }) => figure && markPlot(figure, ids)) };
}

function metricPlot(metric, summary, rows, { name, onHover, onSelect }) {
  const head = h(
    "div",
    { class: "cohort-head" },
    h("h3", { title: metric.definition }, metric.label),
    h("p", { class: "quiet" }, `${t("board.n", { n: summary.n })} · ${directionText(summary)}`),
  );
  const values = rows
    .filter(({ metrics }) => metrics[metric.name] !== null)
    .map((row) => ({ id: row.candidateId, value: row.metrics[metric.name], label: name(row) }));
  if (!summary.n || !values.length) return { element: h("section", {}, head, h("p", { class: "quiet" }, t("metrics.none"))) };
  const figure = stripPlot({
    label: t("board.plot", { label: metric.label, n: summary.n }),
    description: describe(metric, summary),
    format: metric.format,
    values,
    median: summary.median,
    quartiles: [summary.lowerQuartile, summary.upperQuartile],
    onHover,
    onSelect,
  });
  return { element: h("section", {}, head, figure), figure };
}

function describe(metric, summary) {
  const shown = { median: summary.median, lower: summary.lowerQuartile, upper: summary.upperQuartile };
  const all = { ...shown, minimum: summary.minimum, maximum: summary.maximum };
  const texts = Object.fromEntries(Object.entries(all).map(([member, value]) => [member, metric.format(value)]));
  return `${metric.definition} ${t("board.plotText", { ...texts, direction: directionText(summary) })}`;
}

/** Replace the plots in their container. */
export function showCohort(container, options) {
  const cohort = cohortPlots(options);
  fill(container, cohort.element);
  return cohort;
}
