// Plots of an assessment's metrics, in a section below its candidates.

import * as api from "../shared/api.js";
import { h } from "../shared/dom.js";
import { cohortNotes, directionText, METRICS } from "../shared/metrics.js";
import { markPlot, metricPlot } from "../shared/plots.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { resultsPath } from "./board_filters.js";

/**
 * Build a section that loads when it is opened. Returns `{element, showSelected()}`.
 *
 * name -- `(row) => text`
 * selected -- a Set of candidates' ids, marked in the plots
 */
export function cohortSection(assessmentId, { signal, name, selected }) {
  const content = h("div");
  let figures = [];
  const load = async () => {
    const { cohortStats: stats } = await api.get(`/v1/assessments/${assessmentId}/cohort-stats`, { signal });
    return { stats, rows: stats ? await api.all(resultsPath(assessmentId), "results", { signal }) : [] };
  };
  const show = () => renderAsync(content, load, render);
  const heading = h("summary", {}, h("h2", {}, t("board.cohort")));
  const element = h("details", { class: "panel cohort", ontoggle: () => element.open && show() }, heading, content);
  const showSelected = () => figures.forEach((figure) => figure && markPlot(figure, selected));
  return { element, showSelected };

  function render({ stats, rows }) {
    if (!stats) return h("p", { class: "quiet" }, t("board.cohortNone"));
    const notes = cohortNotes({ ...stats, smallNote: null });
    const sections = METRICS.map((metric) => h("section", {}, metricHead(metric, stats.summary[metric.name])));
    const measured = rows.filter(({ metrics, eventCount }) => metrics && eventCount);
    queueMicrotask(() => {
      const width = sections[0].clientWidth;
      figures = METRICS.map((metric) => {
        const summary = stats.summary[metric.name];
        const label = t("board.plot", { label: metric.label, n: summary.n });
        return metricPlot(metric, summary, measured, { id: "candidateId", name, label, description: describe(metric, summary), width });
      });
      sections.forEach((section, n) => section.append(figures[n] ?? h("p", { class: "quiet" }, t("metrics.none"))));
      showSelected();
    });
    return [
      stats.small && h("p", { class: "notice warn" }, stats.smallNote),
      h("div", { class: "cohort-plots" }, sections),
      notes.length > 0 && h("p", { class: "quiet" }, notes.join(" ")),
    ];
  }
}

function metricHead(metric, summary) {
  const note = `${t("board.n", { n: summary.n })} · ${directionText(summary)}`;
  return h("div", { class: "cohort-head" }, h("h3", { title: metric.definition }, metric.label), h("p", { class: "quiet" }, note));
}

function describe(metric, summary) {
  const { median, lowerQuartile: lower, upperQuartile: upper, minimum, maximum } = summary;
  const values = Object.fromEntries(Object.entries({ median, lower, upper, minimum, maximum }).map(([name, value]) => [name, metric.format(value)]));
  return `${metric.definition} ${t("board.plotText", { ...values, direction: directionText(summary) })}`;
}
