// The signed-in person's to-do lists, oldest first, with an action for each entry.

import * as api from "./shared/api.js";
import { ask, confirm, field, runAction, toast } from "./shared/dialogs.js";
import { fill, h } from "./shared/dom.js";
import { candidateName } from "./shared/names.js";
import { formatNumber } from "./shared/numbers.js";
import { empty, loaded } from "./shared/states.js";
import { t } from "./shared/texts.js";
import { formatDateTime, formatRelative } from "./shared/time.js";

const FEW = 10;
const ALL = 200;
const DEFAULT_EXTENSION_DAYS = 7;
const nameOf = (entry) => candidateName(entry, entry);

// Each list: its field in `GET /v1/todo`, and each row's title, link, text, time and action.
const LISTS = [
  {
    name: "unscored",
    href: ({ sessionId }) => `#/sessions/${sessionId}`,
    time: ({ closedAt }) => ["todo.closed", closedAt],
    actions: (entry) => [link(`#/sessions/${entry.sessionId}/score`, t("todo.score"), nameOf(entry))],
  },
  {
    name: "disagreements",
    href: ({ sessionId }) => `#/sessions/${sessionId}`,
    time: ({ closedAt }) => ["todo.closed", closedAt],
    actions: (entry) => [link(`#/sessions/${entry.sessionId}/score`, t("todo.discuss"), nameOf(entry))],
  },
  {
    name: "failedMessages",
    detail: ({ kind, lastError }) => `${t(`todo.kinds.${kind}`)}: ${lastError ?? t("todo.unknownError")}`,
    time: ({ createdAt }) => ["todo.queued", createdAt],
    actions: (entry, reload) => [button(t("todo.retry"), nameOf(entry), () => retry(entry, reload))],
  },
  {
    name: "expiringKeys",
    time: ({ expiresAt }) => ["todo.expires", expiresAt],
    actions: (entry, reload) => [button(t("todo.extend"), nameOf(entry), () => extend(entry, reload))],
  },
  {
    name: "erasureRequests",
    time: ({ erasureRequestedAt }) => ["todo.asked", erasureRequestedAt],
    actions: (entry, reload) => [button(t("todo.erase"), nameOf(entry), () => erase(entry, reload))],
  },
  {
    name: "failingWebhooks",
    title: ({ description, url }) => description ?? url,
    subtitle: ({ description, url }) => (description ? url : null),
    href: () => "#/organization/webhooks",
    detail: ({ lastError, disabledReason }) =>
      [lastError, disabledReason && t(`todo.disabled.${disabledReason}`)].filter(Boolean).join(" "),
    time: ({ failingSince }) => ["todo.failing", failingSince],
    actions: ({ webhookId, description, url }) => [link(`#/organization/webhooks?webhook=${webhookId}`, t("todo.openWebhook"), description ?? url)],
  },
];

export async function show(main, params, { signal, setTitle }) {
  setTitle(t("todo.title"));
  const summary = h("p", { class: "quiet summary", role: "status" });
  const lists = h("div", { class: "todo-lists" });
  fill(main, h("div", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, t("todo.title")), summary)), lists);
  let limit = FEW;
  const load = () => api.get("/v1/todo", { query: { limit }, signal });
  const reload = async (name) => {
    if (name) limit = ALL;
    const todo = await load();
    fill(lists, render(todo, summary, reload));
    // The replaced content had the focus.
    const heading = name && lists.querySelector(`[data-list="${name}"] h2`);
    (heading ?? main.querySelector("h1")).focus({ preventScroll: true });
  };
  await loaded(lists, load, (todo) => render(todo, summary, reload));
}

function render(todo, summary, reload) {
  const allowed = LISTS.filter(({ name }) => todo[name] !== null);
  const waiting = allowed.filter(({ name }) => todo[name].count > 0);
  const total = waiting.reduce((sum, { name }) => sum + todo[name].count, 0);
  summary.textContent = total ? t("todo.total", { n: total }) : "";
  if (!allowed.length) return empty(t("todo.readOnlyTitle"), t("todo.readOnly"));
  if (!total) {
    return empty(t("todo.doneTitle"), t("todo.done"), h("a", { class: "secondary", href: "#/assessments" }, t("todo.toAssessments")));
  }
  const done = allowed.filter(({ name }) => todo[name].count === 0);
  return [
    waiting.map((list) => panel(list, todo[list.name], reload)),
    done.length > 0 &&
      h("p", { class: "quiet todo-rest" }, t("todo.nothing", { lists: done.map(({ name }) => t(`todo.${name}.title`).toLowerCase()).join(", ") })),
  ];
}

function panel(list, { count, entries }, reload) {
  const rest = count - entries.length;
  return h(
    "section",
    { class: "panel todo", "data-list": list.name },
    h("h2", { tabindex: "-1" }, t(`todo.${list.name}.title`), " ", h("span", { class: "count" }, formatNumber(count))),
    h("p", { class: "quiet" }, t(`todo.${list.name}.text`)),
    h("ul", {}, entries.map((entry) => item(list, entry, reload))),
    rest > 0 && entries.length < ALL && h("button", { type: "button", class: "link", onclick: () => reload(list.name) }, t("todo.more", { n: rest })),
    rest > 0 && entries.length >= ALL && h("p", { class: "quiet" }, t("todo.further", { n: rest })),
  );
}

function item(list, entry, reload) {
  const title = (list.title ?? nameOf)(entry);
  const href = list.href?.(entry) ?? `#/assessments/${entry.assessmentId}`;
  const subtitle = list.subtitle ? list.subtitle(entry) : entry.assessmentTitle;
  const [phrase, time] = list.time(entry);
  const detail = list.detail?.(entry);
  return h(
    "li",
    {},
    h(
      "div",
      { class: "todo-what" },
      h("a", { href }, title),
      h("p", { class: "quiet" }, [subtitle, time && t(phrase, { time: formatRelative(time) })].filter(Boolean).join(" · ")),
      detail && h("p", { class: "todo-detail" }, detail),
    ),
    h("div", { class: "actions" }, list.actions(entry, reload)),
  );
}

function link(href, text, about) {
  return h("a", { class: "secondary", href, "aria-label": `${text}: ${about}` }, text);
}

function button(text, about, run) {
  const onclick = ({ currentTarget }) => runAction(currentTarget, run);
  return h("button", { type: "button", class: "secondary", "aria-label": `${text}: ${about}`, onclick }, text);
}

async function retry(entry, reload) {
  await api.post(`/v1/deliveries/${entry.deliveryId}/retry`);
  toast(t("todo.retried", { name: nameOf(entry) }));
  await reload();
}

async function extend(entry, reload) {
  const path = `/v1/candidates/${entry.candidateId}/extend`;
  const days = h("input", { name: "days", type: "number", min: "1", max: "365", required: true, value: DEFAULT_EXTENSION_DAYS });
  const candidate = await ask({
    title: t("todo.extendTitle", { name: nameOf(entry) }),
    content: [
      h("p", {}, t("todo.extendText", { time: formatDateTime(entry.expiresAt) })),
      field(t("todo.extendDays"), days, t("todo.extendHint")),
    ],
    action: t("todo.extend"),
    save: async () => (await api.post(path, { days: days.valueAsNumber })).candidate,
  });
  if (!candidate) return;
  const undo = async () => {
    await api.post(path, { expiresAt: entry.expiresAt });
    await reload();
  };
  toast(t("todo.extended", { name: nameOf(entry), time: formatDateTime(candidate.expiresAt) }), { undo });
  await reload();
}

async function erase(entry, reload) {
  const name = nameOf(entry);
  const run = () => api.remove(`/v1/candidates/${entry.candidateId}/data`);
  const title = t("todo.eraseTitle", { name });
  const isDone = await confirm({ title, text: t("todo.eraseText", { title: entry.assessmentTitle }), action: t("todo.eraseAction"), run });
  if (!isDone) return;
  toast(t("todo.erased", { name }));
  await reload();
}
