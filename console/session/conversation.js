// Prompts and responses as a conversation. Actions between them are collapsed.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { eventLink, isDuplicate, kindName, whyNotCounted } from "../shared/events.js";
import { empty, failure } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatClock } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const PAGE = 50;
const MAX_CALLS = 200;
const MAX_KINDS = 10;
const MAX_NAME_CHARACTERS = 60;
const WHO = {
  prompt: "candidate",
  interrupt: "candidate",
  plan_decision: "candidate",
  decision_event: "candidate",
  ai_response: "agent",
};
const KINDS = Object.keys(WHO);
// Not `in`: a kind can have the name of an inherited property.
const isMessage = ({ kind }) => Object.hasOwn(WHO, kind);
const TEXTS = {
  prompt: (data) => data.text,
  ai_response: (data) => data.lastAssistantMessage,
  interrupt: () => t("report.conversation.interrupted"),
  plan_decision: (data) => data.responsePreview,
  decision_event: (data) => [data.title, data.rationale].filter((text) => typeof text === "string").join("\n"),
};
// Announced calls, which have separate events, and events that are not actions.
const SILENT = new Set([
  "tool_intent",
  "subagent_usage",
  "editor_focus",
  "editor_idle",
  "session_start",
  "session_end",
]);

export const load = (report) => report.events();

export function render(events, report) {
  const spoken = events.filter(isShown).filter(isMessage);
  if (!spoken.length) return empty(t("report.conversation.none"), t("report.conversation.noneWhy"));
  const list = h("ol", { class: "conversation" });
  const foot = h("div", { class: "actions", "aria-live": "polite" });
  const pages = new Pages(events, report);
  const next = async () => {
    const isFurther = list.childElementCount > 0;
    fill(foot, h("p", { class: "quiet" }, t("common.loading")));
    try {
      const items = await pages.next();
      list.append(...items);
      if (isFurther && document.activeElement === document.body) items[0]?.querySelector("a, summary").focus();
      if (!pages.hasMore) return fill(foot);
      fill(foot, h("button", { type: "button", class: "secondary", onclick: next }, t("report.conversation.more")));
    } catch (error) {
      if (!report.signal.aborted) fill(foot, failure(error, next));
    }
  };
  next();
  const hidden = events.filter((event) => isMessage(event) && !isShown(event)).length;
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("report.tabs.conversation")),
    hidden > 0 && h("p", { class: "quiet" }, t("report.conversation.duplicates", { n: hidden })),
    list,
    foot,
  );
}

const isShown = (event) => !isDuplicate(event);

/** The messages in pages, each message with its preceding calls. */
class Pages {
  constructor(events, { path, signal, session }) {
    Object.assign(this, { events, path, signal, session, position: 0, after: null, hasMore: true });
    this.positions = new Map(events.map((event, n) => [event.id, n]));
  }

  async next() {
    const query = { kind: KINDS.join(), detail: "full", limit: PAGE, after: this.after };
    const page = await api.get(`${this.path}/timeline`, { query, signal: this.signal });
    [this.after, this.hasMore] = [page.next, page.next !== null];
    const items = page.events
      .filter(isShown)
      .flatMap((event) => [this.#callsBefore(event), message(event, this.session.id)]);
    if (!this.hasMore) items.push(this.#calls(this.events.slice(this.position)));
    return items.filter(Boolean);
  }

  #callsBefore({ id }) {
    const end = this.positions.get(id) ?? this.position;
    const between = this.events.slice(this.position, end);
    this.position = Math.max(this.position, end + 1);
    return this.#calls(between);
  }

  #calls(between) {
    const calls = between.filter((event) => isShown(event) && !isMessage(event) && !SILENT.has(event.kind));
    if (!calls.length) return null;
    const body = h("ul");
    const render = () =>
      body.firstChild ||
      fill(
        body,
        calls.slice(0, MAX_CALLS).map((event) => call(event, this.session.id)),
        calls.length > MAX_CALLS &&
          h("li", { class: "quiet" }, t("report.conversation.moreCalls", { n: calls.length - MAX_CALLS })),
      );
    return h("li", { class: "calls" }, h("details", { ontoggle: render }, h("summary", {}, summaryOf(calls)), body));
  }
}

/** `14 actions: 9 × Command, 5 × Change` */
function summaryOf(calls) {
  const kinds = [...Map.groupBy(calls, ({ kind }) => kind)].sort(([, one], [, other]) => other.length - one.length);
  const parts = kinds
    .slice(0, MAX_KINDS)
    .flatMap(([kind, some], n) => [n > 0 && ", ", `${some.length} × `, kindName(kind)]);
  return [t("report.conversation.calls", { n: calls.length }), ": ", parts, kinds.length > MAX_KINDS && ", …"];
}

function call(event, sessionId) {
  return h(
    "li",
    {},
    h("a", { href: eventLink(sessionId, event.id) }, formatClock(event.ts, { seconds: true })),
    " ",
    kindName(event.kind),
    " ",
    h("code", {}, untrusted(event.summary)),
  );
}

function message(event, sessionId) {
  const who = WHO[event.kind];
  const data = event.envelope?.data ?? {};
  const text = TEXTS[event.kind](data);
  const hasText = typeof text === "string" && text.trim() !== "";
  const tool = who === "agent" ? (data.model ?? event.source) : null;
  const head = h(
    "p",
    { class: "message-head" },
    h("strong", {}, t(`report.conversation.${who}`)),
    typeof tool === "string" && h("span", { class: "quiet" }, untrusted(tool.slice(0, MAX_NAME_CHARACTERS))),
    event.kind !== "prompt" && event.kind !== "ai_response" && h("span", { class: "mark" }, kindName(event.kind)),
    whyNotCounted(event) && h("span", { class: "mark" }, whyNotCounted(event)),
    h("a", { href: eventLink(sessionId, event.id) }, formatClock(event.ts, { seconds: true })),
  );
  return h(
    "li",
    { class: `message from-${who}` },
    head,
    hasText ? longText(text) : h("p", { class: "quiet" }, t("report.conversation.noText")),
  );
}
