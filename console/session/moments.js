// A session's moments: places that are worth a question in an interview.

import * as api from "../shared/api.js";
import { h } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { clockFormat } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

export const loadMoments = (sessionId, signal) => api.get(`/v1/sessions/${sessionId}/moments`, { signal });

/** Build the list of moments, which loads itself, with a link to the interview guide. */
export function momentsList(sessionId, { signal }) {
  const place = h("div");
  renderAsync(place, () => loadMoments(sessionId, signal), ({ moments }) => [
    momentItems(sessionId, moments),
    moments.length > 0 && h("a", { href: `#/sessions/${sessionId}/guide` }, t("guide.title")),
  ]);
  return place;
}

/** Build the items. `more` builds nodes below a moment's sentence. */
export function momentItems(sessionId, moments, more = () => null) {
  if (!moments.length) return h("p", { class: "quiet" }, t("moments.none"));
  const format = clockFormat(moments[0].ts, moments.at(-1).ts);
  const link = (id, n) => [n > 0 && ", ", h("a", { href: eventLink(sessionId, id) }, t("moments.event", { n: n + 1 }))];
  const items = moments.map((moment) => {
    const links = h("span", { class: "no-print" }, " ", moment.eventIds.map(link));
    return h("li", {}, h("span", { class: "quiet" }, format(moment.ts)), " ", untrusted(moment.text), links, more(moment));
  });
  return h("ol", { class: "moments" }, items);
}
