// The session's metrics, compared with its cohort: a tab of the report.

import * as api from "../shared/api.js";
import { h, pairs } from "../shared/dom.js";
import { channelName } from "../shared/events.js";
import { loadMark } from "../shared/findings.js";
import { cohortNotes, directionText, isUnrecorded, isUnreliable, METRICS, observationsText, OTHER_METRICS, rankText, valueText } from "../shared/metrics.js";
import { candidateName } from "../shared/names.js";
import { formatNumber } from "../shared/numbers.js";
import { metricPlot } from "../shared/plots.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";

export async function load({ session, path, signal }) {
  const { cohortStats } = await api.get(`${path}/cohort-stats`, { signal });
  const results = cohortStats
    ? await api.all(`/v1/assessments/${session.assessmentId}/results`, "results", { signal })
    : [];
  return { cohort: cohortStats, results: results.filter(({ metrics }) => metrics) };
}

export function render({ cohort, results }, { session, integrity }) {
  if (!session.metrics && !cohort) return emptyState(t("report.metrics.none"), t("report.metrics.noneHint"));
  const notes = [!session.metrics && t("report.metrics.open"), ...(cohort ? cohortNotes(cohort) : [])].filter(Boolean);
  return [
    h(
      "section",
      { class: "panel" },
      h("h2", {}, t("report.metrics.title"), session.metrics && loadMark(integrity)),
      h("p", {}, t("report.metrics.intro", { n: cohort?.sessionCount ?? 0 })),
      session.metrics && h("p", { class: "quiet" }, sourceText(session.coverage)),
      notes.length > 0 &&
        h(
          "div",
          { class: "notice warn" },
          notes.map((note) => h("p", {}, note)),
        ),
      cohort &&
        h(
          "div",
          { class: "metric-cards" },
          METRICS.map((metric) => metricCard(metric, cohort, results, session)),
        ),
    ),
    session.metrics &&
      h("section", { class: "panel" }, h("h2", {}, t("report.metrics.others"), loadMark(integrity)), otherMetrics(session.metrics)),
  ];
}

/** Return the channels that the metrics are from and, if it is the client, what the others recorded. */
function sourceText({ metricsFrom, modelCalls, channels }) {
  const client = metricsFrom === "client" && channels.find(({ channel }) => channel === "client");
  const sentences = [
    metricsFrom && t(`report.metrics.from.${metricsFrom}`),
    ...(client ? channels.filter((row) => row !== client).map((row) => recordedText(row, client)) : []),
    modelCalls.contentRecorded < modelCalls.total &&
      t("report.metrics.modelCalls", { n: modelCalls.total, recorded: modelCalls.contentRecorded }),
  ];
  return sentences.filter(Boolean).join(" ");
}

function recordedText({ channel, prompts, commands, changes }, client) {
  return t("report.metrics.recorded", {
    channel: channelName(channel),
    prompts: t("report.usage.prompts", { n: prompts }),
    commands: t("report.usage.commands", { n: commands }),
    changes: t("report.usage.changes", { n: changes }),
    client: [client.prompts, client.commands, client.changes].map(formatNumber).join(", "),
  });
}

function metricCard(metric, cohort, results, session) {
  const { name, label, definition } = metric;
  const summary = cohort.summary[name];
  const value = summary.value ?? session.metrics?.[name] ?? null;
  const plotted = results.filter(({ metrics }) => metrics[name] !== null);
  const notes = [
    t("report.metrics.n", { n: summary.n }),
    observationsText(name, summary),
    !isUnrecorded(name, session) && rankText(name, cohort, summary),
  ].filter(Boolean);
  return h(
    "article",
    { class: "metric-card" },
    h("h3", {}, label),
    h("p", { class: "metric-value" }, value === null ? t("report.metrics.noValue") : valueText(metric, value, session)),
    h("p", { class: "quiet" }, definition),
    h("p", { class: "quiet" }, directionText(summary)),
    metricPlot(metric, summary, plotted, {
      name: (result) => candidateName(result, session),
      description: t("report.metrics.plot", { n: plotted.length }),
      marked: [session.id],
    }),
    h("p", { class: "metric-notes" }, notes.join(" · ")),
    isUnreliable(name, summary) && h("p", { class: "quiet" }, t("metrics.few")),
  );
}

function otherMetrics(metrics) {
  return pairs(OTHER_METRICS.map(({ name, label, definition, format }) => [label, metrics[name] === null ? t("report.unknown") : format(metrics[name]), definition]));
}
