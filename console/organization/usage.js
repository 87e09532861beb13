// Plan, quota, and usage and cost of candidates' model calls by month and model.

import * as api from "../shared/api.js";
import { fill, h, svg } from "../shared/dom.js";
import { formatDollars, numberOrDash } from "../shared/numbers.js";
import { emptyState } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";

const MONTHS = 12;
const monthFormat = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
const monthName = (month) => monthFormat.format(new Date(`${month}-01T00:00:00Z`));
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const tokens = (value) => (value === null ? "–" : h("span", { title: numberOrDash(value) }, compact.format(value)));
const dollars = (value) => (value === null ? "–" : formatDollars(value));

export async function load({ signal }) {
  const [{ org }, { usage }] = await Promise.all([
    api.get("/v1/org", { signal }),
    api.get("/v1/org/usage", { query: { months: MONTHS }, signal }),
  ]);
  return { org, usage };
}

export function render({ org, usage }, { actions }) {
  fill(actions);
  return [cards(org, usage), usage.length ? [months(usage), models(usage)] : emptyState(t("usage.emptyTitle"), t("usage.empty"))];
}

const sum = (entries, name) => entries.reduce((total, entry) => total + (entry[name] ?? 0), 0);

function cards(org, usage) {
  const current = org.quota.resetsAt && previousMonth(org.quota.resetsAt);
  const ofMonth = usage.filter(({ month }) => month === current);
  const quota = org.quota.quota === null ? t("usage.noQuota") : t("usage.ofQuota", { n: numberOrDash(org.quota.quota), day: formatDay(org.quota.resetsAt) });
  const subscription = org.subscription.state && org.plan !== "self_hosted" ? t(`usage.subscriptions.${org.subscription.state}`) : "";
  const card = (title, value, text) => h("div", { class: "card-small" }, h("p", { class: "quiet" }, title), h("p", { class: "big" }, value), h("p", { class: "quiet" }, text));
  return h(
    "div",
    { class: "cards" },
    card(t("usage.plan"), t(`usage.plans.${org.plan}`), subscription),
    card(t("usage.assessments"), numberOrDash(org.quota.used), quota),
    card(t("usage.costThisMonth"), dollars(sum(ofMonth, "costUsd")), t("usage.calls", { n: sum(ofMonth, "calls") })),
    card(t("usage.costLastYear"), dollars(sum(usage, "costUsd")), t("usage.calls", { n: sum(usage, "calls") })),
  );
}

/** Return the month before a timestamp: `2026-03` */
function previousMonth(start) {
  const date = new Date(start);
  date.setUTCMonth(date.getUTCMonth() - 1);
  return date.toISOString().slice(0, 7);
}

function months(usage) {
  const names = [...new Set(usage.map(({ month }) => month))];
  const rows = names.map((month) => {
    const entries = usage.filter((entry) => entry.month === month);
    return { month, calls: sum(entries, "calls"), costUsd: sum(entries, "costUsd") };
  });
  const highest = Math.max(...rows.map(({ costUsd }) => costUsd));
  const columns = [
    { name: "month", label: t("usage.month"), value: ({ month }) => month, render: ({ month }) => monthName(month), sortable: true },
    { name: "calls", label: t("usage.callsColumn"), value: ({ calls }) => calls, render: ({ calls }) => numberOrDash(calls), numeric: true, sortable: true },
    { name: "cost", label: t("usage.cost"), value: ({ costUsd }) => costUsd, render: ({ costUsd }) => dollars(costUsd), numeric: true, sortable: true },
    { name: "bar", label: t("usage.share"), value: () => null, render: ({ costUsd }) => bar(costUsd, highest) },
  ];
  return h("section", { class: "panel" }, h("h2", {}, t("usage.byMonth")), dataTable({ caption: t("usage.byMonth"), columns, rows, count: (n) => t("usage.months", { n }) }));
}

/** Build a decorative bar next to a number. */
function bar(value, highest) {
  const width = highest ? Math.max((value / highest) * 100, 0.5) : 0;
  return svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width, height: 10, rx: 1 }));
}

function models(usage) {
  const columns = [
    { name: "month", label: t("usage.month"), value: ({ month }) => month, render: ({ month }) => monthName(month), sortable: true },
    { name: "model", label: t("usage.model"), value: ({ model }) => model ?? "", render: ({ model, provider }) => [model ?? t("usage.noModel"), h("div", { class: "quiet" }, t(`usage.providers.${provider}`))], sortable: true },
    { name: "sessions", label: t("usage.sessions"), value: ({ sessions }) => sessions, render: ({ sessions }) => numberOrDash(sessions), numeric: true, sortable: true },
    { name: "calls", label: t("usage.callsColumn"), value: ({ calls }) => calls, render: ({ calls }) => numberOrDash(calls), numeric: true, sortable: true },
    ...["inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"].map((name) => ({
      name,
      label: t(`usage.${name}`),
      value: (entry) => entry[name],
      render: (entry) => tokens(entry[name]),
      numeric: true,
      sortable: true,
    })),
    { name: "cost", label: t("usage.cost"), value: ({ costUsd }) => costUsd, render: ({ costUsd }) => dollars(costUsd), numeric: true, sortable: true },
  ];
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("usage.byModel")),
    h("p", { class: "quiet" }, t("usage.text")),
    dataTable({ caption: t("usage.byModel"), columns, rows: usage }),
  );
}
