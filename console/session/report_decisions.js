// The candidate's design decisions and replies to agents' plans: a tab of the report.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { eventLink, notCountedReason } from "../shared/events.js";
import { markdown } from "../shared/markdown.js";
import { emptyState, renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const PAGE_SIZE = 50;
const MAX_TITLE_CHARACTERS = 200;
const FIELDS = ["chosenOption", "rationale", "tradeoffs", "context", "plan", "response"];

export const load = ({ path, signal }, after = null) => api.get(`${path}/decisions`, { query: { limit: PAGE_SIZE, after }, signal });

export function render(page, report) {
  if (!page.decisions.length) return emptyState(t("report.decisions.none"), t("report.decisions.noneHint"));
  const list = h("ol", { class: "decisions" });
  const foot = h("div", { class: "actions" });
  fill(foot, addPage(page));
  return h("section", { class: "panel" }, h("h2", {}, t("report.decisions.heading")), list, foot);

  /** Append a page to the list. Returns the button that loads the next one. */
  function addPage({ decisions, next }) {
    list.append(...decisions.map((decision) => decisionItem(decision, report.session.id)));
    const more = async () => {
      const count = list.childElementCount;
      await renderAsync(foot, () => load(report, next), addPage);
      list.children[count]?.querySelector("a").focus();
    };
    return next && h("button", { type: "button", class: "secondary", onclick: more }, t("report.conversation.more"));
  }
}

function decisionItem(decision, sessionId) {
  const reason = notCountedReason(decision);
  const fields = FIELDS.filter((name) => decision[name]).map((name) =>
    h("div", {}, h("dt", {}, t(`report.decisions.${name}`)), h("dd", {}, longText(decision[name], markdown))),
  );
  const cause =
    decision.triggerEventId && h("a", { href: eventLink(sessionId, decision.triggerEventId) }, t("report.decisions.cause"));
  return h(
    "li",
    {},
    h("h3", {}, decision.title ? untrusted(decision.title.slice(0, MAX_TITLE_CHARACTERS)) : t(`report.decisions.${decision.kind}`)),
    h(
      "p",
      { class: "message-head" },
      h("a", { href: eventLink(sessionId, decision.eventId) }, formatDateTime(decision.ts)),
      decision.impactScore !== null && h("span", { class: "quiet" }, t("report.decisions.impact", { n: decision.impactScore })),
      cause,
      reason && h("span", { class: "mark" }, reason),
    ),
    h("dl", { class: "pairs" }, fields),
  );
}
