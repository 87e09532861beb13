// A session's moments: points worth asking about in an interview.

import { h } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { clockFormat } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

/** Build the list of moments, which loads itself, with a link to the interview guide. */
export function momentsList({ session, moments: load }) {
  const place = h("div");
  const guide = (n) => h("a", { href: `#/sessions/${session.id}/guide` }, t("moments.guide", { n }));
  renderAsync(place, load, ({ moments }) => [momentItems(session.id, moments), moments.length > 0 && guide(moments.length)]);
  return place;
}

/** Build the list. `more` builds nodes below a moment's sentence. */
export function momentItems(sessionId, moments, more = () => null) {
  if (!moments.length) return h("p", { class: "quiet" }, t("moments.none"));
  const format = clockFormat(moments[0].ts, moments.at(-1).ts);
  const link = (id, n) => [" ", h("a", { class: "no-print", href: eventLink(sessionId, id) }, t("moments.event", { n: n + 1 }))];
  const item = (moment) => [h("span", { class: "quiet" }, format(moment.ts)), " ", untrusted(moment.text), moment.eventIds.map(link), more(moment)];
  return h("ol", { class: "moments" }, moments.map((moment) => h("li", {}, item(moment))));
}
