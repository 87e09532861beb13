// An integration's orders, newest first, with their state and what to do.

import * as api from "../shared/api.js";
import { runAction, toast, toastError } from "../shared/dialogs.js";
import { h } from "../shared/dom.js";
import { olderButton } from "../shared/older_button.js";
import { renderAsync } from "../shared/states.js";
import { dataTable } from "../shared/table.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { plain, untrusted } from "../shared/untrusted.js";

const STATES = ["attention", "received", "invited", "started", "submitted", "scored", "skipped", "expired", "revoked", "erased"];
const PAGE_SIZE = 20;
// These continue without a person.
const CONTINUING = ["credential_rejected", "email_suppressed"];
// A choice, and a confirmation that the candidate may be emailed.
const DECIDED_ONE_BY_ONE = ["already_assessed", "may_not_email"];
const KINDS = { attention: "bad", submitted: "good", scored: "good", skipped: "off", expired: "off", revoked: "off", erased: "off" };

/** Build the list of an integration's orders. */
export function orders(integration, context) {
  const list = h("div", {});
  const options = STATES.map((state) => h("option", { value: state, selected: state === "attention" && integration.attentionCount > 0 }, t(`integrations.orderStates.${state}`)));
  const select = h("select", {}, h("option", { value: "" }, t("common.all")), options);
  const path = `/v1/integrations/${integration.id}/orders`;
  const load = (after) => api.get(path, { query: { order: "desc", limit: PAGE_SIZE, state: select.value, after }, signal: context.signal });
  const reload = h("button", { type: "button", class: "small", onclick: () => show() }, t("deliveries.reload"));
  // Replacing the content drops the focus.
  const refresh = async () => {
    await show();
    reload.focus();
  };
  const show = () => renderAsync(list, () => load(), (page) => render(page, load, path, { ...context, refresh }));
  select.addEventListener("change", show);
  show();
  const retryButton = h("button", { type: "button", class: "small", onclick: ({ target }) => runAction(target, () => retryAll(path, { ...context, refresh })) }, t("integrations.retryAll"));
  const canRetry = context.can("admin") && integration.attentionCount > 1;
  return [h("div", { class: "line filters" }, h("label", {}, t("deliveries.state"), " ", select), reload, canRetry && retryButton), list];
}

function render(page, load, path, context) {
  if (!page.orders.length) return h("p", { class: "quiet" }, t("integrations.noOrders"));
  const columns = [
    { name: "application", label: t("integrations.application"), value: ({ applicationId }) => applicationId, render: applicationCell },
    { name: "state", label: t("deliveries.state"), value: ({ state }) => state, render: (order) => stateCell(order, path, context) },
    { name: "reports", label: t("integrations.notes"), value: () => null, render: reportsCell, wide: true },
    { name: "changed", label: t("integrations.changed"), value: ({ updatedAt }) => updatedAt, render: ({ updatedAt }) => formatDateTime(updatedAt), wide: true },
  ];
  const table = dataTable({ caption: t("integrations.orders"), columns, rows: page.orders, count: (n) => t("integrations.orderCount", { n }) });
  return [table, olderButton(page, { table, load, field: "orders" })];
}

/** Show the application, linked to its session unless the candidate's name is hidden. */
function applicationCell({ applicationId, sessionId, candidateHidden }) {
  const name = applicationId ? untrusted(applicationId) : t("integrations.erasedApplication");
  return sessionId && !candidateHidden ? h("a", { href: `#/sessions/${sessionId}` }, name) : name;
}

function stateCell(order, path, context) {
  const { state, message, remedy, nextTryAt, lastError } = order;
  return [
    h("span", { class: `badge ${KINDS[state] ?? ""}` }, t(`integrations.orderStates.${state}`)),
    message && h("div", {}, message),
    remedy && h("div", { class: "quiet" }, remedy),
    lastError && h("div", { class: "quiet" }, lastError),
    nextTryAt && h("div", { class: "quiet" }, t("actions.messages.next", { time: formatDateTime(nextTryAt) })),
    context.can("admin") && state === "attention" && actions(order, path, context),
  ];
}

function reportsCell({ reports }) {
  return reports.map(({ reference, status, state, sentAt, lastError }) =>
    h("div", {}, `${reference} · ${t(`integrations.orderStates.${status}`)} · `, state === "sent" ? formatDateTime(sentAt) : t(`integrations.reportStates.${state}`), lastError && h("div", { class: "quiet" }, lastError)),
  );
}

function actions(order, path, context) {
  if (CONTINUING.includes(order.reason)) return null;
  const isAssessed = order.reason === "already_assessed";
  const choices = isAssessed ? [["report", "integrations.reportResult"], ["invite", "integrations.inviteAgain"]] : [[null, "integrations.retry"]];
  const run = async (action) => {
    await api.post(`${path}/${order.id}/retry`, { action });
    toast(t("integrations.retried"));
    await context.refresh();
  };
  return h("div", { class: "actions" }, choices.map(([action, text]) => h("button", { type: "button", class: "small", "aria-label": `${t(text)}: ${plain(order.applicationId)}`, onclick: ({ target }) => runAction(target, () => run(action)) }, t(text))));
}

async function retryAll(path, context) {
  const found = await api.all(path, "orders", { query: { state: "attention" }, signal: context.signal });
  const retried = found.filter(({ reason }) => ![...DECIDED_ONE_BY_ONE, ...CONTINUING].includes(reason));
  let failure = null;
  for (const { id } of retried) await api.post(`${path}/${id}/retry`, { action: null }).catch((error) => (failure = error));
  if (failure) toastError(failure);
  else toast(t(retried.length ? "integrations.retried" : "integrations.nothingToRetry"));
  await context.refresh();
}
