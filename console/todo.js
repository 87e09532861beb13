// The signed-in person's to-do lists, oldest first. Each entry has an action.

import { erase } from "./assessment/candidate_dialogs.js";
import { act } from "./decisions/selection.js";
import * as api from "./shared/api.js";
import { ask, field, runAction, toast } from "./shared/dialogs.js";
import { fill, h } from "./shared/dom.js";
import { candidateName } from "./shared/names.js";
import { formatNumber } from "./shared/numbers.js";
import { emptyState, renderAsync } from "./shared/states.js";
import { t } from "./shared/texts.js";
import { formatRelative } from "./shared/time.js";

const INITIAL_ENTRIES = 10;
const MAX_ENTRIES = 200;
const entryName = (entry) => candidateName(entry, entry);

// `name` is the list's field in `GET /v1/todo`. The functions build an entry's title, link, details, time and actions.
const LISTS = [
  {
    name: "unscored",
    href: ({ sessionId }) => `#/sessions/${sessionId}`,
    subtitle: ({ assessmentTitle, assigned }) => (assigned ? `${assessmentTitle} · ${t("todo.assigned")}` : assessmentTitle),
    detail: ({ erasureRequestedAt }) => erasureRequestedAt && t("todo.requestedErasure"),
    time: ({ closedAt, dueAt }) => (dueAt ? ["todo.due", dueAt] : ["todo.closed", closedAt]),
    actions: (entry) => [link(`#/sessions/${entry.sessionId}/score`, t("todo.score"), entryName(entry))],
  },
  {
    name: "disagreements",
    href: ({ sessionId }) => `#/sessions/${sessionId}`,
    time: ({ closedAt }) => ["todo.closed", closedAt],
    actions: (entry) => [link(`#/sessions/${entry.sessionId}/score`, t("todo.discuss"), entryName(entry))],
  },
  {
    name: "failedMessages",
    detail: ({ kind, lastError }) => `${t(`actions.messages.kinds.${kind}`)}: ${lastError ?? t("todo.unknownError")}`,
    time: ({ createdAt }) => ["todo.queued", createdAt],
    actions: (entry, reload) => [button(t("todo.retry"), entryName(entry), () => retry(entry, reload))],
  },
  {
    name: "expiringKeys",
    time: ({ expiresAt }) => ["todo.expires", expiresAt],
    actions: (entry, reload) => [button(t("decisions.actions.extend"), entryName(entry), () => act("extend", [entry], { onDone: reload }))],
  },
  {
    name: "stalledTestRuns",
    href: ({ sessionId }) => `#/sessions/${sessionId}?tab=tests`,
    detail: ({ state, reason }) => (state === "waiting" ? t("runs.waiting") : reason ?? t("todo.unknownError")),
    time: ({ createdAt }) => ["todo.queued", createdAt],
    actions: (entry) => [link(`#/sessions/${entry.sessionId}?tab=tests`, t("todo.openSession"), entryName(entry))],
  },
  {
    name: "failedChecks",
    title: ({ assessmentTitle }) => assessmentTitle,
    subtitle: () => null,
    detail: ({ problem }) => problem ?? t("todo.unknownError"),
    time: ({ finishedAt }) => ["todo.checked", finishedAt],
    actions: ({ assessmentId, assessmentTitle }) => [link(`#/assessments/${assessmentId}/task`, t("todo.openTask"), assessmentTitle)],
  },
  {
    name: "lostSubmissions",
    href: ({ sessionId }) => `#/sessions/${sessionId}`,
    time: ({ receivedAt }) => ["todo.received", receivedAt],
    actions: (entry) => [link(`#/sessions/${entry.sessionId}`, t("todo.openSession"), entryName(entry))],
  },
  {
    name: "erasureRequests",
    time: ({ erasureRequestedAt }) => ["todo.requested", erasureRequestedAt],
    actions: (entry, reload) => [
      button(t("todo.dismiss"), entryName(entry), () => dismiss(entry, reload)),
      button(t("actions.erase.action"), entryName(entry), () => eraseData(entry, reload)),
    ],
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
  {
    name: "integrations",
    title: ({ name }) => name,
    subtitle: () => null,
    href: () => "#/organization/integrations",
    detail: ({ state, attentionCount }) => (state === "stopped" ? t("integrations.stopped") : t("todo.ordersToAttend", { n: attentionCount })),
    time: () => [],
    actions: ({ name }) => [link("#/organization/integrations", t("todo.openIntegration"), name)],
  },
  {
    name: "channels",
    title: ({ name }) => name,
    subtitle: () => null,
    href: () => "#/organization/notifications",
    detail: () => t("notifications.goneHelp"),
    time: ({ lastErrorAt }) => ["todo.failed", lastErrorAt],
    actions: ({ name }) => [link("#/organization/notifications", t("todo.openChannel"), name)],
  },
];

/** Return the integrations that need a person as a to-do list. */
async function loadIntegrations(signal) {
  const integrations = await api.all("/v1/integrations", "integrations", { signal });
  const entries = integrations.filter(({ attentionCount, state }) => attentionCount || state === "stopped");
  return { count: entries.length, entries };
}

/** Return the chat channels whose URL no longer works as a to-do list. */
async function loadChannels(signal) {
  const channels = await api.all("/v1/notifications", "channels", { signal });
  const entries = channels.filter(({ disabledReason }) => disabledReason === "gone");
  return { count: entries.length, entries };
}

export async function show(main, params, { can, signal, setTitle }) {
  setTitle(t("todo.title"));
  const summary = h("p", { class: "quiet summary", role: "status" });
  const lists = h("div", { class: "todo-lists" });
  fill(main, h("div", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, t("todo.title")), summary)), lists);
  let limit = INITIAL_ENTRIES;
  const hasIntegrations = api.HAS_INTEGRATIONS && can("admin");
  const load = async () => {
    const own = hasIntegrations ? [loadIntegrations(signal), loadChannels(signal)] : [null, null];
    const [todo, integrations, channels] = await Promise.all([api.get("/v1/todo", { query: { limit }, signal }), ...own]);
    return { ...todo, integrations, channels };
  };
  const reload = async (name) => {
    if (name) limit = MAX_ENTRIES;
    const todo = await load();
    fill(lists, render(todo, summary, reload));
    // Replacing the content drops the focus.
    const heading = name && lists.querySelector(`[data-list="${name}"] h2`);
    (heading ?? main.querySelector("h1")).focus({ preventScroll: true });
  };
  await renderAsync(lists, load, (todo) => render(todo, summary, reload));
}

function render(todo, summary, reload) {
  const allowed = LISTS.filter(({ name }) => todo[name] !== null);
  const pending = allowed.filter(({ name }) => todo[name].count > 0);
  const total = pending.reduce((sum, { name }) => sum + todo[name].count, 0);
  summary.textContent = total ? t("todo.total", { n: total }) : "";
  if (!allowed.length) return emptyState(t("todo.readOnlyTitle"), t("todo.readOnly"));
  if (!total) {
    return emptyState(t("todo.doneTitle"), t("todo.done"), h("a", { class: "secondary", href: "#/assessments" }, t("todo.toAssessments")));
  }
  const emptyLists = allowed.filter(({ name }) => todo[name].count === 0);
  return [
    pending.map((list) => panel(list, todo[list.name], reload)),
    emptyLists.length > 0 &&
      h("p", { class: "quiet todo-rest" }, t("todo.emptyLists", { lists: emptyLists.map(({ name }) => t(`todo.${name}.title`).toLowerCase()).join(", ") })),
  ];
}

function panel(list, { count, entries }, reload) {
  const remaining = count - entries.length;
  return h(
    "section",
    { class: "panel todo", "data-list": list.name },
    h("h2", { tabindex: "-1" }, t(`todo.${list.name}.title`), " ", h("span", { class: "count" }, formatNumber(count))),
    h("p", { class: "quiet" }, t(`todo.${list.name}.text`)),
    h("ul", {}, entries.map((entry) => item(list, entry, reload))),
    remaining > 0 && entries.length < MAX_ENTRIES && h("button", { type: "button", class: "link", onclick: () => reload(list.name) }, t("todo.more", { n: remaining })),
    remaining > 0 && entries.length >= MAX_ENTRIES && h("p", { class: "quiet" }, t("todo.remaining", { n: remaining })),
  );
}

/** Link to the candidate on the board, or to all candidates if the name is hidden. */
function boardLink({ assessmentId, candidateName: name, candidateEmail: email }) {
  return `#/assessments/${assessmentId}?${new URLSearchParams({ view: "all", q: email ?? name ?? "" })}`;
}

function item(list, entry, reload) {
  const title = (list.title ?? entryName)(entry);
  const href = list.href?.(entry) ?? boardLink(entry);
  const subtitle = list.subtitle ? list.subtitle(entry) : entry.assessmentTitle;
  const [label, time] = list.time(entry);
  const detail = list.detail?.(entry);
  return h(
    "li",
    {},
    h(
      "div",
      { class: "todo-what" },
      h("a", { href }, title),
      h("p", { class: "quiet" }, [subtitle, time && t(label, { time: formatRelative(time) })].filter(Boolean).join(" · ")),
      detail && h("p", { class: "todo-detail" }, detail),
    ),
    h("div", { class: "actions" }, list.actions(entry, reload)),
  );
}

function link(href, text, subject) {
  return h("a", { class: "secondary", href, "aria-label": `${text}: ${subject}` }, text);
}

function button(text, subject, run) {
  const onclick = ({ currentTarget }) => runAction(currentTarget, run);
  return h("button", { type: "button", class: "secondary", "aria-label": `${text}: ${subject}`, onclick }, text);
}

async function retry(entry, reload) {
  await api.post(`/v1/deliveries/${entry.deliveryId}/retry`);
  toast(t("actions.messages.retried", { name: entryName(entry) }));
  await reload();
}

function eraseData(candidate, reload) {
  const onDone = (message) => {
    toast(message);
    return reload();
  };
  return erase({ path: `/v1/candidates/${candidate.candidateId}`, name: entryName(candidate), candidate, onDone });
}

async function dismiss(entry, reload) {
  const name = entryName(entry);
  const reason = h("textarea", { name: "reason", rows: 3, maxlength: 2000, required: true });
  const isDone = await ask({
    title: t("todo.dismissTitle", { name }),
    content: [h("p", {}, t("todo.dismissText")), field(t("todo.dismissReason"), reason, t("todo.dismissReasonHint"))],
    action: t("todo.dismissAction"),
    save: () => api.post(`/v1/candidates/${entry.candidateId}/dismiss-erasure-request`, { reason: reason.value }),
  });
  if (!isDone) return;
  toast(t("todo.dismissed", { name }));
  await reload();
}
