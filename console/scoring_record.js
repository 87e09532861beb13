// The record beside the rubric: a session's events, to choose evidence from.

import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { empty, loaded } from "./states.js";
import { t } from "./texts.js";
import { formatClock } from "./time.js";

const PAGE_SIZE = 100;

/** The session's events, which load themselves by pages. `onPick(event)` is called when one is chosen. */
export function timelineView({ sessionId, signal, onPick }) {
  const container = h("div", {});
  const list = h("ol", { class: "scoring-events" });
  const more = h("button", { type: "button", class: "secondary" }, t("scoring.moreEvents"));
  let after = null;
  const next = async () => {
    const page = await api.get(`/v1/sessions/${sessionId}/timeline`, { query: { limit: PAGE_SIZE, after }, signal });
    after = page.next;
    more.hidden = after === null;
    list.append(...page.events.map((event) => h("li", {}, eventButton(event, onPick))));
    return page.events;
  };
  more.addEventListener("click", async () => {
    const count = list.children.length;
    await next();
    list.children[count]?.querySelector("button").focus();
  });
  loaded(container, next, (events) =>
    events.length ? [list, more] : empty(t("scoring.noEventsTitle"), t("scoring.noEvents")),
  );
  return container;
}

function eventButton(event, onPick) {
  return h(
    "button",
    { type: "button", onclick: () => onPick(event) },
    h("time", { datetime: event.ts }, formatClock(event.ts, { seconds: true })),
    h("span", { class: "quiet" }, event.kind.replaceAll("_", " ")),
    h("bdi", {}, event.summary),
  );
}
