// The printable interview guide: a session's moments, each with two questions.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { isChanged, recordingMark } from "../shared/findings.js";
import { momentItems } from "../session/moments.js";
import { candidateName } from "../shared/names.js";
import { renderAsync } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDay } from "../shared/time.js";
import { untrusted, untrustedName } from "../shared/untrusted.js";

export async function show(main, { sessionId }, { signal, setTitle }) {
  setTitle(t("guide.title"));
  const guide = h("article", { class: "file-report" });
  const back = h("a", { class: "secondary", href: `#/sessions/${sessionId}` }, t("print.back"));
  const button = h("button", { type: "button", class: "primary", onclick: () => print() }, t("print.print"));
  const title = h("h1", { tabindex: "-1" }, t("guide.title"));
  fill(main, h("div", { class: "page-head no-print" }, title, h("div", { class: "actions" }, back, button)), guide);
  const get = (part) => api.get(`/v1/sessions/${sessionId}${part}`, { signal });
  const load = () => Promise.all([get(""), get("/integrity"), get("/moments")]);
  const questions = (moment) => h("ul", { class: "questions" }, moment.questions.map((text) => h("li", {}, text)));
  await renderAsync(guide, load, ([session, { findings }, { version, moments }]) => [
    h("p", { class: "company" }, t("guide.title"), " · ", untrusted(session.assessmentTitle), " · ", formatDay(session.redeemedAt)),
    h("p", { class: "print-name" }, untrustedName(candidateName(session, session))),
    findingsNotice(findings.map(({ code }) => code)),
    momentItems(session.id, moments, questions),
    h("footer", {}, h("p", {}, t("guide.rules", { version }))),
  ]);
}

/** Warn if the recording was altered or is incomplete. */
function findingsNotice(codes) {
  return isChanged(codes) ? h("p", { class: "notice bad" }, t("board.recordingChanged")) : recordingMark(codes);
}
