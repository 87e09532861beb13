// Decisions that the candidate explained, and their replies to agents' plans.

import * as api from "./api.js";
import { h } from "./dom.js";
import { eventLink, whyNotCounted } from "./events.js";
import { empty } from "./states.js";
import { t } from "./texts.js";
import { formatMoment } from "./time.js";
import { longText, untrusted } from "./untrusted.js";

const MAX_TITLE_CHARACTERS = 200;
const MEMBERS = ["chosenOption", "rationale", "tradeoffs", "context", "plan", "response"];

export const load = ({ path, signal }) => api.all(`${path}/decisions`, "decisions", { signal });

export function render(decisions, { session }) {
  if (!decisions.length) return empty(t("report.decisions.none"), t("report.decisions.noneWhy"));
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("report.tabs.decisions")),
    h(
      "ol",
      { class: "decisions" },
      decisions.map((each) => decision(each, session.id)),
    ),
  );
}

function decision(each, sessionId) {
  const why = whyNotCounted(each);
  const members = MEMBERS.filter((name) => each[name]).map((name) =>
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
      h("a", { href: eventLink(sessionId, each.eventId) }, formatMoment(each.ts)),
      each.impactScore !== null && h("span", { class: "quiet" }, t("report.decisions.impact", { n: each.impactScore })),
      cause,
      why && h("span", { class: "mark" }, why),
    ),
    h("dl", { class: "pairs" }, members),
  );
}
