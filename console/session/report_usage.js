// Time by phase, tokens and cost, tools, and error episodes: a tab of the report.

import { h } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { formatDollars, formatShare, numberOrDash } from "../shared/numbers.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDuration } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

const MAX_TOOLS = 20;
const MAX_EPISODES = 200;
const formatCost = (value) => (value === null ? t("report.usage.noPrice") : formatDollars(value));

export const load = (report) => report.analytics();

export function render(analytics, { session }) {
  if (!analytics.phases.some(({ events }) => events) && !analytics.models.length && !analytics.proxyUsage.length) {
    return emptyState(t("report.usage.none"), t("report.noEventsHint"));
  }
  return h(
    "div",
    { class: "usage-panels" },
    panel(t("report.usage.phases"), phases(analytics)),
    panel(t("report.usage.models"), models(analytics)),
    panel(t("report.usage.episodes"), episodes(analytics, session.id)),
    panel(t("report.usage.tools"), tools(analytics)),
  );
}

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...content);
}

/** Build a table in a scrolling region. `numeric` lists the indexes of numeric columns. */
export function numericTable(caption, names, rows, numeric, kind = "plain-table") {
  const cell = (value, n) =>
    h(n ? "td" : "th", { class: numeric.includes(n) ? "numeric" : null, scope: n ? null : "row" }, value);
  const head = h(
    "tr",
    {},
    names.map((name, n) => h("th", { scope: "col", class: numeric.includes(n) ? "numeric" : null }, name)),
  );
  const body = rows.map((row) => h("tr", {}, row.map(cell)));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: kind },
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, head),
      h("tbody", {}, body),
    ),
  );
}

/** Build the time by phase; `kind` is the table's class. */
export function phases({ phases: all, activeMs, idleMs, workPeriods }, kind) {
  const rows = all.map(({ name, events, timeMs, share, pauses }) => [
    [
      h("span", { class: `phase-key phase-${name}`, "aria-hidden": "true" }),
      t(`report.phases.${name}`),
      h("span", { class: "quiet phase-what" }, t(`report.phaseHints.${name}`)),
    ],
    formatDuration(timeMs / 1000),
    share === null ? "–" : formatShare(share),
    numberOrDash(events),
    numberOrDash(pauses),
  ]);
  const names = ["phase", "time", "share", "events", "pauses"].map((name) => t(`report.usage.columns.${name}`));
  const total = t("report.usage.active", {
    active: formatDuration(activeMs / 1000),
    idle: formatDuration(idleMs / 1000),
    n: workPeriods.length,
  });
  const bar = h("div", { class: "phase-bar", "aria-hidden": "true" }, all.filter(({ share }) => share > 0).map(phaseBar));
  return [h("p", {}, total), bar, numericTable(t("report.usage.phases"), names, rows, [1, 2, 3, 4], kind)];
}

function phaseBar({ name, share }) {
  const segment = h("span", { class: `phase-${name}` });
  segment.style.flexGrow = share;
  return segment;
}

/** Build the tokens and cost by model; `kind` is the tables' class. */
export function models({ models: reported, proxyUsage, totalCostUsd }, kind) {
  const names = ["model", "responses", "input", "output", "cacheRead", "cacheWrite", "cost"].map((name) =>
    t(`report.usage.columns.${name}`),
  );
  const numeric = [1, 2, 3, 4, 5, 6];
  const rows = reported.map(({ model, responses, tokens: { input, output, cacheRead, cacheWrite }, costUsd }) => [
    untrusted(model),
    ...[responses, input, output, cacheRead, cacheWrite].map(numberOrDash),
    formatCost(costUsd),
  ]);
  if (rows.length)
    rows.push([h("strong", {}, t("report.usage.total")), "", "", "", "", "", h("strong", {}, formatCost(totalCostUsd))]);
  const proxied = proxyUsage.map(({ model, calls, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costUsd }) => [
    untrusted(model ?? t("report.unknown")),
    ...[calls, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens].map(numberOrDash),
    formatCost(costUsd),
  ]);
  const none = !rows.length && !proxied.length && h("p", { class: "quiet" }, t("report.usage.noModels"));
  return [
    none,
    rows.length > 0 && numericTable(t("report.usage.models"), names, rows, numeric, kind),
    proxied.length > 0 && [
      h("h3", {}, t("report.usage.proxy")),
      h("p", { class: "quiet" }, t("report.usage.proxyHint")),
      numericTable(t("report.usage.proxy"), names, proxied, numeric, kind),
    ],
  ];
}

function tools({ tools: all }) {
  if (!all.length) return h("p", { class: "quiet" }, t("report.usage.noTools"));
  const names = [t("report.usage.columns.tool"), t("report.usage.columns.calls")];
  const otherCalls = all.slice(MAX_TOOLS).reduce((sum, { calls }) => sum + calls, 0);
  const rows = all.slice(0, MAX_TOOLS).map(({ name, calls }) => [untrusted(name), numberOrDash(calls)]);
  if (otherCalls) rows.push([t("report.usage.otherTools"), numberOrDash(otherCalls)]);
  return numericTable(t("report.usage.tools"), names, rows, [1]);
}

function episodes({ errorEpisodes }, sessionId) {
  if (!errorEpisodes.length) return h("p", { class: "quiet" }, t("report.usage.noEpisodes"));
  const link = ({ eventId, ts, command }) => [
    h("a", { href: eventLink(sessionId, eventId) }, formatClock(ts, { seconds: true })),
    " ",
    h("code", {}, untrusted(command)),
  ];
  const names = ["failed", "outcome", "failures", "work", "duration"].map((name) => t(`report.usage.columns.${name}`));
  const remaining = errorEpisodes.length - MAX_EPISODES;
  const rows = errorEpisodes.slice(0, MAX_EPISODES).map(({ ending, failureCount, firstFailure, endedBy, durationMs, changes, prompts }) => [
    [link(firstFailure), firstFailure.output && h("div", { class: "quiet" }, untrusted(firstFailure.output))],
    [t(`report.endings.${ending}`), endedBy && [h("br"), link(endedBy)]],
    numberOrDash(failureCount),
    [t("report.usage.changes", { n: changes }), ", ", t("report.usage.prompts", { n: prompts })],
    durationMs === null ? "–" : formatDuration(durationMs / 1000),
  ]);
  return [
    numericTable(t("report.usage.episodes"), names, rows, [2]),
    remaining > 0 && h("p", { class: "quiet" }, t("report.usage.moreEpisodes", { n: remaining })),
  ];
}
