// The candidate's design decisions, and replies to agents' plans.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { eventLink, whyNotCounted } from "../shared/events.js";
import { empty, loaded } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const PAGE = 50;
const MAX_TITLE_CHARACTERS = 200;
const FIELDS = ["chosenOption", "rationale", "tradeoffs", "context", "plan", "response"];

export const load = ({ path, signal }, after = null) => api.get(`${path}/decisions`, { query: { limit: PAGE, after }, signal });

export function render(page, report) {
  if (!page.decisions.length) return empty(t("report.decisions.none"), t("report.decisions.noneWhy"));
  const list = h("ol", { class: "decisions" });
  const foot = h("div", { class: "actions" });
  fill(foot, add(page));
  return h("section", { class: "panel" }, h("h2", {}, t("report.tabs.decisions")), list, foot);

  /** Add a page to the list; returns the button for the next one. */
  function add({ decisions, next }) {
    list.append(...decisions.map((each) => decision(each, report.session.id)));
    const more = async () => {
      const shown = list.childElementCount;
      await loaded(foot, () => load(report, next), add);
      list.children[shown]?.querySelector("a").focus();
    };
    return next && h("button", { type: "button", class: "secondary", onclick: more }, t("report.conversation.more"));
  }
}

function decision(each, sessionId) {
  const why = whyNotCounted(each);
  const fields = FIELDS.filter((name) => each[name]).map((name) =>
    h("div", {}, h("dt", {}, t(`report.decisions.${name}`)), h("dd", {}, longText(each[name]))),
  );
  const cause =
    each.triggerEventId && h("a", { href: eventLink(sessionId, each.triggerEventId) }, t("report.decisions.cause"));
  return h(
    "li",
    {},
    h("h3", {}, each.title ? untrusted(each.title.slice(0, MAX_TITLE_CHARACTERS)) : t(`report.decisions.${each.kind}`)),
    h(
      "p",
      { class: "message-head" },
      h("a", { href: eventLink(sessionId, each.eventId) }, formatDateTime(each.ts)),
      each.impactScore !== null && h("span", { class: "quiet" }, t("report.decisions.impact", { n: each.impactScore })),
      cause,
      why && h("span", { class: "mark" }, why),
    ),
    h("dl", { class: "pairs" }, fields),
  );
}
