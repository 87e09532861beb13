// Webhooks with their failures and deliveries.

import * as api from "../shared/api.js";
import { ask, confirm, field, runAction, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice, setFlag } from "./organization.js";
import { showSecret } from "../shared/secrets.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDay, formatRelative } from "../shared/time.js";
import { changedValues } from "../shared/values.js";
import { deliveries } from "./webhook_deliveries.js";

const MAX_TEST_POLLS = 15;
const TEST_POLL_MS = 1000;

export const load = ({ signal }) => api.all("/v1/webhooks", "webhooks", { signal });

export function render(webhooks, context) {
  const isAdmin = context.can("admin");
  fill(context.actions, isAdmin && h("button", { type: "button", class: "primary", onclick: () => create(context) }, t("webhooks.create")));
  if (!webhooks.length) return [adminOnlyNotice(context), emptyState(t("webhooks.emptyTitle"), t("webhooks.empty"))];
  const openId = context.query.get("webhook");
  return [
    adminOnlyNotice(context),
    h("p", { class: "quiet" }, t("webhooks.text")),
    webhooks.map((webhook) => panel(webhook, webhook.id === openId, context)),
  ];
}

function panel(webhook, isOpen, context) {
  const list = h("div", { class: "deliveries" });
  const reload = () => fill(list, deliveries(webhook, context));
  const details = h("details", { open: isOpen }, h("summary", {}, t("webhooks.deliveries")), list);
  details.addEventListener("toggle", () => details.open && reload());
  const title = webhook.description ?? webhook.url;
  const isAdmin = context.can("admin");
  const button = (text, run) => h("button", { type: "button", class: "small", onclick: run, "aria-label": `${text}: ${title}` }, text);
  return h(
    "section",
    { class: "panel webhook" },
    h("div", { class: "webhook-head" }, h("h2", {}, title), badge(webhook)),
    webhook.description && h("p", {}, h("code", {}, webhook.url)),
    problem(webhook),
    h(
      "dl",
      { class: "detail-list" },
      detail(t("webhooks.types"), webhook.types.length ? webhook.types.join(", ") : t("common.all")),
      detail(t("webhooks.personal"), t(webhook.includePersonal ? "common.yes" : "common.no")),
      detail(t("common.added"), formatDay(webhook.createdAt)),
    ),
    isAdmin &&
      h(
        "div",
        { class: "actions" },
        button(t("webhooks.test"), ({ target }) => runAction(target, () => test(webhook, details, reload, context))),
        button(t("people.change"), () => update(webhook, context)),
        button(t(webhook.enabled ? "webhooks.disable" : "webhooks.enable"), () => setEnabled(webhook, context)),
        button(t("webhooks.rotate"), () => rotate(webhook, context)),
        button(t("common.delete"), () => remove(webhook, context)),
      ),
    details,
  );
}

const detail = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function badge({ enabled, disabledReason, failingSince }) {
  if (!enabled) return h("span", { class: `badge ${disabledReason === "paused" ? "off" : "bad"}` }, t(`webhooks.states.${disabledReason}`));
  if (failingSince) return h("span", { class: "badge bad" }, t("webhooks.states.failingNow"));
  return h("span", { class: "badge good" }, t("webhooks.states.enabled"));
}

/** Describe why a webhook fails, and what to do. */
function problem(webhook) {
  const { enabled, disabledReason, failingSince, lastError } = webhook;
  const isDisabled = !enabled && disabledReason !== "paused";
  if (!isDisabled && !(enabled && failingSince)) return null;
  const since = failingSince ?? webhook.disabledAt;
  return h(
    "div",
    { class: "notice bad" },
    h("strong", {}, t("webhooks.failingSince", { time: formatRelative(since) }), " ", lastError ?? ""),
    h("p", {}, t(isDisabled ? `webhooks.helpDisabled.${disabledReason}` : "webhooks.help")),
  );
}

// -- Changes

function fields(webhook, types) {
  const url = h("input", { name: "url", type: "url", required: true, value: webhook?.url ?? "", placeholder: "https://" });
  const choices = types.map(([type, text]) => {
    const input = h("input", { type: "checkbox", name: "types", value: type, checked: webhook?.types.includes(type) ?? false });
    return h("label", { class: "check-line" }, input, h("span", {}, h("code", {}, type), " ", h("span", { class: "quiet" }, text)));
  });
  const personal = h("input", { type: "checkbox", name: "includePersonal", checked: webhook?.includePersonal ?? false });
  return [
    field(t("webhooks.url"), url, t("webhooks.urlHint")),
    field(t("common.name"), h("input", { name: "description", maxlength: 255, value: webhook?.description ?? "" })),
    h("fieldset", { class: "choices scrolling" }, h("legend", {}, t("webhooks.types")), h("p", { class: "quiet" }, t("webhooks.typesHint")), choices),
    h("label", { class: "check-line" }, personal, h("span", {}, t("webhooks.personalHint"))),
  ];
}

function values(form) {
  const { url, description, includePersonal } = form.elements;
  const types = [...form.querySelectorAll("[name=types]:checked")].map(({ value }) => value);
  return { url: url.value, description: description.value || null, types, includePersonal: includePersonal.checked };
}

const TYPES = [
  "assessment.created", "assessment.deleted", "key.created", "key.revoked", "invite.sent", "invite.failed",
  "session.started", "session.completed", "session.expired",
  "test_run.finished", "candidate.decided", "candidate.hired", "score.updated", "score.withdrawn",
  "candidate.erasure_requested", "candidate.erased", "order.created", "order.attention", "order.reported", "ledger.checkpoint",
];

/** Return event types with their descriptions. Types from a later version have no description. */
function describeTypes(selected = []) {
  const text = (type) => t(`webhooks.typeTexts.${type.replace(".", "_")}`);
  return [...TYPES.map((type) => [type, text(type)]), ...selected.filter((type) => !TYPES.includes(type)).map((type) => [type, ""])];
}

async function create(context) {
  const save = (form) => api.post("/v1/webhooks", values(form));
  const created = await ask({ title: t("webhooks.create"), content: fields(null, describeTypes()), action: t("webhooks.createAction"), save });
  if (!created) return;
  await showSecret({ title: t("webhooks.createdTitle"), text: t("webhooks.secretText"), secret: created.secret });
  await context.refresh();
}

async function update(webhook, context) {
  const save = (form) => api.patch(`/v1/webhooks/${webhook.id}`, changedValues(values(form), webhook));
  if (await ask({ title: t("webhooks.changeTitle"), content: fields(webhook, describeTypes(webhook.types)), save })) await context.refresh();
}

function setEnabled({ id, enabled }, context) {
  const texts = { title: t("webhooks.disableTitle"), text: t("webhooks.disableText"), action: t("webhooks.disable"), done: t("webhooks.disabled") };
  return setFlag(`/v1/webhooks/${id}`, "enabled", !enabled, texts, context);
}

async function rotate(webhook, context) {
  let rotated = null;
  const run = async () => (rotated = await api.post(`/v1/webhooks/${webhook.id}/rotate-secret`));
  if (!(await confirm({ title: t("webhooks.rotateTitle"), text: t("webhooks.rotateText"), action: t("webhooks.rotate"), run }))) return;
  await showSecret({ title: t("webhooks.rotatedTitle"), text: t("webhooks.secretText"), secret: rotated.secret });
  await context.refresh();
}

async function remove(webhook, context) {
  const run = () => api.remove(`/v1/webhooks/${webhook.id}`);
  if (await confirm({ title: t("webhooks.deleteTitle"), text: t("webhooks.deleteText"), action: t("common.delete"), run })) await context.refresh();
}

/** Send a test, wait for its result, and show it in the deliveries. */
async function test(webhook, details, reload, { signal }) {
  const path = `/v1/webhooks/${webhook.id}`;
  const { delivery } = await api.post(`${path}/test`);
  const result = await pollDelivery(path, delivery.id, signal);
  toast(t(`webhooks.testResults.${result.state}`, { error: result.error ?? "" }));
  if (details.open) reload();
  else details.open = true;
}

/** Poll a delivery until it is no longer queued, or polling times out. */
async function pollDelivery(path, id, signal) {
  let delivery = { state: "queued" };
  for (let n = 0; n < MAX_TEST_POLLS && delivery.state === "queued"; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, TEST_POLL_MS));
    const page = await api.get(`${path}/deliveries`, { query: { order: "desc", limit: 20 }, signal });
    delivery = page.deliveries.find((other) => other.id === id) ?? delivery;
  }
  return delivery;
}
