// A webhook's deliveries, newest first, with requests and responses.

import * as api from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { olderButton } from "../shared/older_button.js";
import { renderAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

const STATES = ["queued", "delivered", "failed", "canceled"];
const PAGE_SIZE = 20;

/** Build the list of a webhook's deliveries. */
export function deliveries(webhook, context) {
  const list = h("div", {});
  const select = h("select", {}, h("option", { value: "" }, t("common.all")), STATES.map((state) => h("option", { value: state }, t(`deliveries.states.${state}`))));
  const load = (after) =>
    api.get(`/v1/webhooks/${webhook.id}/deliveries`, {
      query: { order: "desc", limit: PAGE_SIZE, state: select.value, after },
      signal: context.signal,
    });
  const show = () => renderAsync(list, () => load(), (page) => render(page, load, webhook, { ...context, refresh }));
  // Replacing the content drops the focus.
  const refresh = async () => {
    await show();
    reload.focus();
  };
  select.addEventListener("change", show);
  show();
  const reload = h("button", { type: "button", class: "small", onclick: show }, t("deliveries.reload"));
  return [h("div", { class: "line filters" }, h("label", {}, t("deliveries.state"), " ", select), reload), list];
}

function render(page, load, webhook, context) {
  if (!page.deliveries.length) return h("p", { class: "quiet" }, t("deliveries.empty"));
  const columns = [
    { name: "time", label: t("common.time"), value: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatDateTime(createdAt) },
    { name: "type", label: t("deliveries.type"), value: ({ type }) => type, render: ({ type }) => h("code", {}, type) },
    { name: "state", label: t("deliveries.state"), value: ({ state }) => state, render: stateCell },
    { name: "attempts", label: t("deliveries.attempts"), value: ({ attempts }) => attempts, numeric: true },
    { name: "response", label: t("deliveries.response"), value: ({ status }) => status, render: ({ status, durationMs }) => (status ? `${status} · ${durationMs} ms` : "–") },
    { name: "details", label: t("deliveries.details"), value: () => null, render: detailsCell },
    context.can("admin") && { name: "actions", label: t("common.actions"), value: () => null, render: (delivery) => redeliverButton(delivery, webhook, context) },
  ].filter(Boolean);
  const table = dataTable({ caption: t("webhooks.deliveries"), columns, rows: page.deliveries, count: (n) => t("deliveries.count", { n }) });
  return [table, olderButton(page, { table, load, field: "deliveries" })];
}

function stateCell(delivery) {
  const kind = { delivered: "good", failed: "bad", canceled: "off" }[delivery.state] ?? "";
  const isWaiting = delivery.state === "queued" && delivery.attempts > 0;
  return [
    h("span", { class: `badge ${kind}` }, t(`deliveries.states.${delivery.state}`)),
    delivery.error && delivery.state !== "delivered" && h("div", { class: "quiet" }, delivery.error),
    isWaiting && h("div", { class: "quiet" }, t("actions.messages.next", { time: formatDateTime(delivery.dueAt) })),
  ];
}

function detailsCell({ request, answer, eventId }) {
  return h(
    "details",
    {},
    h("summary", {}, t("deliveries.show")),
    h("p", { class: "quiet" }, `webhook-id: ${eventId}`),
    h("h3", {}, t("deliveries.request")),
    h("pre", {}, untrusted(formatJson(request), { lines: true })),
    h("h3", {}, t("deliveries.response")),
    answer ? h("pre", {}, untrusted(answer, { lines: true })) : h("p", { class: "quiet" }, t("deliveries.noResponse")),
  );
}

function formatJson(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function redeliverButton(delivery, webhook, context) {
  const run = async () => {
    await api.post(`/v1/webhooks/${webhook.id}/deliveries/${delivery.id}/redeliver`);
    toast(t("deliveries.redelivered"));
    await context.refresh();
  };
  const label = `${t("deliveries.redeliver")}: ${delivery.type}, ${formatDateTime(delivery.createdAt)}`;
  const isQueued = delivery.state === "queued";
  return h("button", { type: "button", class: "small", disabled: isQueued || !webhook.enabled, "aria-label": label, onclick: run }, t("deliveries.redeliver"));
}
