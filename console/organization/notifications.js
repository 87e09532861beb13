// Chat channels that get an organization's events.

import * as api from "../shared/api.js";
import { ask, confirm, field, runAction, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { adminOnlyNotice } from "./organization.js";
import { emptyState } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatRelative } from "../shared/time.js";

const EVENTS = ["submitted", "scored", "expired", "attention", "emailFailed", "erasureRequested"];
const DEFAULT_EVENTS = ["submitted", "attention"];

export async function load({ signal }) {
  const [channels, assessments] = await Promise.all([api.all("/v1/notifications", "channels", { signal }), api.all("/v1/assessments", "assessments", { signal })]);
  return { channels, assessments };
}

export function render({ channels, assessments }, context) {
  const edit = (channel) => editChannel(channel, assessments, context);
  fill(context.actions, context.can("admin") && h("button", { type: "button", class: "primary", onclick: () => edit(null) }, t("notifications.add")));
  return [
    adminOnlyNotice(context),
    h("p", { class: "quiet" }, t("notifications.text")),
    channels.length ? channels.map((channel) => panel(channel, assessments, edit, context)) : h("div", { class: "panel" }, emptyState(t("notifications.emptyTitle"), t("notifications.empty"))),
  ];
}

function panel(channel, assessments, edit, context) {
  const { id, name, enabled, disabledReason, lastError, lastErrorAt, lastSentAt, assessmentIds } = channel;
  const path = `/v1/notifications/${id}`;
  const button = (text, run) => h("button", { type: "button", class: "small", onclick: ({ target }) => runAction(target, run), "aria-label": `${text}: ${name}` }, text);
  const change = async (values) => {
    await api.patch(path, values);
    await context.refresh();
  };
  const test = async () => {
    const { ok, error } = await api.post(`${path}/test`);
    toast(ok ? t("notifications.tested") : t("webhooks.testResults.failed", { error }));
  };
  const remove = async () => {
    const run = () => api.remove(path);
    if (await confirm({ title: t("notifications.deleteTitle", { name }), text: t("notifications.deleteText"), action: t("common.delete"), run })) await context.refresh();
  };
  const titles = assessments.filter((assessment) => assessmentIds?.includes(assessment.id)).map(({ title }) => title);
  const detail = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
  const state = enabled ? "enabled" : disabledReason;
  const isFailing = lastError && (!lastSentAt || lastErrorAt > lastSentAt);
  return h(
    "section",
    { class: "panel webhook" },
    h("div", { class: "webhook-head" }, h("h2", {}, name), h("span", { class: `badge ${{ enabled: "good", gone: "bad" }[state] ?? "off"}` }, t(`webhooks.states.${state}`))),
    isFailing && h("div", { class: "notice bad" }, h("strong", {}, lastError), disabledReason === "gone" && h("p", {}, t("notifications.goneHelp"))),
    h(
      "dl",
      { class: "detail-list" },
      detail(t("notifications.url"), `… ${channel.urlEnd}`),
      detail(t("notifications.events"), channel.events.map((event) => t(`notifications.eventTexts.${event}`)).join(", ")),
      detail(t("notifications.assessments"), assessmentIds ? titles.join(", ") || t("notifications.none") : t("common.all")),
      detail(t("notifications.names"), t(channel.includeNames ? "common.yes" : "common.no")),
      detail(t("notifications.lastSent"), lastSentAt ? formatRelative(lastSentAt) : t("tokens.never")),
    ),
    context.can("admin") &&
      h(
        "div",
        { class: "actions" },
        button(t("webhooks.test"), test),
        button(t("people.change"), () => edit(channel)),
        button(t(enabled ? "webhooks.disable" : "webhooks.enable"), () => change({ enabled: !enabled })),
        button(t("common.delete"), remove),
      ),
  );
}

async function editChannel(channel, assessments, context) {
  const box = (name, value, text, checked) => h("label", { class: "check-line" }, h("input", { type: "checkbox", name, value, checked }), h("span", {}, text));
  const events = channel?.events ?? DEFAULT_EVENTS;
  const open = assessments.filter(({ id, archivedAt }) => !archivedAt || channel?.assessmentIds?.includes(id));
  const url = h("input", { name: "url", type: "url", required: !channel, autocomplete: "off", placeholder: "https://hooks.slack.com/services/…" });
  const content = [
    field(t("notifications.name"), h("input", { name: "name", required: true, maxlength: 255, value: channel?.name ?? "", placeholder: "#hiring" })),
    field(t("notifications.url"), url, t(channel ? "notifications.keepUrl" : "notifications.urlHint")),
    h("fieldset", { class: "choices" }, h("legend", {}, t("notifications.events")), EVENTS.map((event) => box("events", event, t(`notifications.eventTexts.${event}`), events.includes(event)))),
    h(
      "fieldset",
      { class: "choices scrolling" },
      h("legend", {}, t("notifications.assessments")),
      h("p", { class: "quiet" }, t("notifications.assessmentsHint")),
      open.map(({ id, title }) => box("assessmentIds", id, title, channel?.assessmentIds?.includes(id) ?? false)),
    ),
    box("includeNames", "", t("notifications.namesHint"), channel?.includeNames ?? false),
  ];
  const save = (form) => {
    const checked = (name) => [...form.querySelectorAll(`[name=${name}]:checked`)].map(({ value }) => value);
    const { name, includeNames } = form.elements;
    const body = { name: name.value, events: checked("events"), includeNames: includeNames.checked };
    const ids = checked("assessmentIds");
    const before = open.filter(({ id }) => channel?.assessmentIds?.includes(id)).map(({ id }) => id);
    // The list lacks deleted assessments: without a change, the channel keeps its own.
    if (!channel || ids.join() !== before.join()) body.assessmentIds = ids.length ? ids : null;
    if (url.value) body.url = url.value;
    return channel ? api.patch(`/v1/notifications/${channel.id}`, body) : api.post("/v1/notifications", body);
  };
  if (await ask({ title: t(channel ? "notifications.changeTitle" : "notifications.add"), content, save })) await context.refresh();
}
