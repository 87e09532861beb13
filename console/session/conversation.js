// Prompts and responses as a conversation, with the actions between them collapsed.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { evidenceButton } from "../shared/evidence.js";
import { eventLink, isDuplicate, kindName, notCountedReason } from "../shared/events.js";
import { markdown } from "../shared/markdown.js";
import { emptyState, errorNotice } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatClock } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const PAGE_SIZE = 50;
const MAX_CALLS = 200;
const MAX_KINDS = 10;
const MAX_NAME_CHARACTERS = 60;
const SPEAKERS = {
  prompt: "candidate",
  interrupt: "candidate",
  plan_decision: "candidate",
  decision_event: "candidate",
  ai_response: "agent",
};
const KINDS = Object.keys(SPEAKERS);
// Not `in`: an event's kind can be the name of an inherited property.
const isMessage = ({ kind }) => Object.hasOwn(SPEAKERS, kind);
const GET_TEXT = {
  prompt: (data) => data.text,
  ai_response: (data) => data.lastAssistantMessage,
  interrupt: () => t("report.conversation.interrupted"),
  plan_decision: (data) => data.responsePreview,
  decision_event: (data) => [data.title, data.rationale].filter((text) => typeof text === "string").join("\n"),
};
// Announcements of calls, which have their own events, and events that are not actions.
const OMITTED_KINDS = new Set([
  "tool_intent",
  "subagent_usage",
  "context",
  "editor_focus",
  "editor_idle",
  "session_start",
  "session_end",
]);

export const load = (report) => report.events();

export function render(events, report) {
  const hasMessages = events.some((event) => isVisible(event) && isMessage(event));
  if (!hasMessages) return emptyState(t("report.conversation.none"), t("report.conversation.noneHint"));
  const list = h("ol", { class: "conversation" });
  const foot = h("div", { class: "actions", "aria-live": "polite" });
  const pages = new Pages(events, report);
  const showNext = async () => {
    const isFirst = !list.childElementCount;
    fill(foot, h("p", { class: "quiet" }, t("common.loading")));
    try {
      const items = await pages.next();
      list.append(...items);
      if (!isFirst && document.activeElement === document.body) items[0]?.querySelector("a, summary")?.focus();
      if (!pages.hasMore) return fill(foot);
      fill(foot, h("button", { type: "button", class: "secondary", onclick: showNext }, t("report.conversation.more")));
    } catch (error) {
      if (!report.signal.aborted) fill(foot, errorNotice(error, showNext));
    }
  };
  showNext();
  const hidden = events.filter((event) => isMessage(event) && !isVisible(event)).length;
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("report.tabs.conversation")),
    hidden > 0 && h("p", { class: "quiet" }, t("report.conversation.duplicates", { n: hidden })),
    list,
    foot,
  );
}

const isVisible = (event) => !isDuplicate(event);

/** Pages of messages, with the calls before each message. */
class Pages {
  constructor(events, report) {
    const { path, signal, session } = report;
    Object.assign(this, { events, report, path, signal, session, position: 0, after: null, hasMore: true });
    this.positions = new Map(events.map((event, n) => [event.id, n]));
  }

  async next() {
    const query = { kind: KINDS.join(), detail: "full", limit: PAGE_SIZE, after: this.after };
    const page = await api.get(`${this.path}/timeline`, { query, signal: this.signal });
    [this.after, this.hasMore] = [page.next, page.next !== null];
    const items = page.events
      .filter((event) => isVisible(event) && !this.#isOnlyCalls(event))
      .flatMap((event) => [this.#callsBefore(event), message(event, this.report)]);
    if (!this.hasMore) items.push(this.#calls(this.events.slice(this.position)));
    return items.filter(Boolean);
  }

  /** True for a response without text before an action: its actions tell what the agent did. */
  #isOnlyCalls(event) {
    if (event.kind !== "ai_response" || hasText(textOf(event))) return false;
    const next = this.events.slice(this.positions.get(event.id) + 1).find((other) => isVisible(other) && !OMITTED_KINDS.has(other.kind));
    return Boolean(next) && !isMessage(next);
  }

  #callsBefore({ id }) {
    const end = this.positions.get(id) ?? this.position;
    const preceding = this.events.slice(this.position, end);
    this.position = Math.max(this.position, end + 1);
    return this.#calls(preceding);
  }

  /** Build a collapsed list of the actions in some events; null if there are none. */
  #calls(events) {
    const calls = events.filter((event) => isVisible(event) && !isMessage(event) && !OMITTED_KINDS.has(event.kind));
    if (!calls.length) return null;
    const isWithoutText = events.some((event) => event.kind === "ai_response" && isVisible(event));
    const body = h("ul");
    const fillBody = () =>
      body.firstChild ||
      fill(
        body,
        calls.slice(0, MAX_CALLS).map((event) => call(event, this.session.id)),
        calls.length > MAX_CALLS &&
          h("li", { class: "quiet" }, t("report.conversation.moreCalls", { n: calls.length - MAX_CALLS })),
      );
    return h("li", { class: "calls" }, h("details", { ontoggle: fillBody }, h("summary", {}, isWithoutText && t("report.conversation.onlyCalls"), callsSummary(calls)), body));
  }
}

/** `14 actions: 9 × Command, 5 × Change` */
function callsSummary(calls) {
  const kinds = [...Map.groupBy(calls, ({ kind }) => kind)].sort(([, first], [, second]) => second.length - first.length);
  const parts = kinds
    .slice(0, MAX_KINDS)
    .flatMap(([kind, group], n) => [n > 0 && ", ", `${group.length} × `, kindName(kind)]);
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

const textOf = (event) => GET_TEXT[event.kind](event.envelope?.data ?? {});

const hasText = (text) => typeof text === "string" && text.trim() !== "";

function message(event, report) {
  const speaker = SPEAKERS[event.kind];
  const data = event.envelope?.data ?? {};
  const text = textOf(event);
  const tool = speaker === "agent" ? (data.model ?? event.source) : null;
  const head = h(
    "p",
    { class: "message-head" },
    h("strong", {}, t(`report.conversation.${speaker}`)),
    typeof tool === "string" && h("span", { class: "quiet" }, untrusted(tool.slice(0, MAX_NAME_CHARACTERS))),
    event.kind !== "prompt" && event.kind !== "ai_response" && h("span", { class: "mark" }, kindName(event.kind)),
    notCountedReason(event) && h("span", { class: "mark" }, notCountedReason(event)),
    evidenceButton(report, event.id, event.summary),
  );
  return h(
    "li",
    { class: `message from-${speaker}` },
    h("a", { class: "message-time", href: eventLink(report.session.id, event.id) }, formatClock(event.ts, { seconds: true })),
    h("div", {}, head, hasText(text) ? longText(text, markdown) : h("p", { class: "quiet" }, t("report.conversation.noText"))),
  );
}
