// The printable session report.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { loadEvidence, scoresSection } from "./scores.js";
import { cohortSection, diffSection, workSection } from "./work.js";
import { candidateName, isHidden, workStatus } from "../shared/names.js";
import { recordingMark } from "../shared/findings.js";
import { integrity } from "../session/report_findings.js";
import { detailRows } from "../session/report_head.js";
import { scoreText } from "../shared/scores.js";
import { renderAsync } from "../shared/states.js";
import { testResults } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatDuration, formatDateTime, zoneName } from "../shared/time.js";
import { untrustedName, untrusted } from "../shared/untrusted.js";

export async function show(main, { sessionId }, { me, signal, setTitle }) {
  setTitle(t("print.title"));
  const report = h("article", { class: "file-report" });
  const back = h("a", { class: "secondary", href: `#/sessions/${sessionId}` }, t("print.back"));
  const button = h("button", { type: "button", class: "primary", onclick: () => print(), disabled: true }, t("print.print"));
  const head = h(
    "div",
    { class: "page-head no-print" },
    h("div", {}, h("h1", { tabindex: "-1" }, t("print.title")), h("p", { class: "quiet" }, t("print.hint"))),
    h("div", { class: "actions" }, back, button),
  );
  fill(main, head, report);
  await renderAsync(report, () => load(sessionId, signal), (data) => {
    button.disabled = false;
    setTitle(`${t("print.title")} · ${displayName(data)}`);
    return render(data, me);
  });
}

async function load(sessionId, signal) {
  const path = `/v1/sessions/${sessionId}`;
  const get = (part, query) => api.get(path + part, { query, signal });
  const [session, checked, cohort, scores, analytics, diff] = await Promise.all([
    get(""),
    get("/integrity"),
    get("/cohort-stats"),
    get("/scores"),
    get("/analytics"),
    get("/final-diff", { limit: 200 }),
  ]);
  const [{ assessment }, evidence] = await Promise.all([
    api.get(`/v1/assessments/${session.assessmentId}`, { signal }),
    loadEvidence(session.id, scores, signal),
  ]);
  return { session, checked, cohort: cohort.cohortStats, scores, analytics, diff, assessment, evidence };
}

function render(data, me) {
  const { session, checked, assessment } = data;
  return [
    title(data),
    decision(data),
    section("integrity", h("div", { class: "print-integrity" }, integrity(checked, { session }))),
    section("scores", mark(checked, true), scoresSection(data)),
    section("brief", repository(assessment), h("div", { class: "brief" }, assessment.taskBrief)),
    section("metrics", mark(checked), cohortSection(data)),
    section("work", mark(checked), workSection(data.analytics)),
    section("diff", diffSection(data)),
    summary(data),
    footer(data, me),
  ];
}

const mark = ({ findings }, isStored) => recordingMark(findings.map(({ code }) => code), isStored);

function section(name, ...content) {
  return h("section", { class: `print-${name}` }, h("h2", {}, t(`print.sections.${name}`)), ...content);
}

/** Build a list of `[name, value, detail]`, without those that have no value. */
function rows(pairs) {
  const filled = pairs.filter(([, value]) => value);
  return h("dl", { class: "detail-list" }, filled.map(([name, value, detail]) => h("div", {}, h("dt", {}, name), h("dd", {}, value, detail && ` (${detail})`))));
}

function displayName({ session }) {
  return session.erasedAt ? t("print.erasedName") : candidateName(session, session);
}

function title(data) {
  const { session, assessment } = data;
  return h(
    "header",
    {},
    h("p", { class: "company" }, session.orgName),
    h("p", { class: "print-name" }, untrustedName(displayName(data))),
    isHidden(session, session) && !session.erasedAt && h("p", { class: "quiet" }, t("common.hiddenName")),
    h("p", {}, assessment.title, " · ", assessment.role),
    session.erasedAt && h("p", { class: "notice warn" }, t("print.erased", { time: formatDateTime(session.erasedAt) })),
    session.status === "active" && h("p", { class: "notice warn" }, t("print.running")),
  );
}

function decision({ session, checked, scores }) {
  const { decision: made, decisionReason: reason, decisionFindingReason: findingReason, decidedAt, decidedBy } = session;
  return section(
    "decision",
    h("p", { class: decidedAt && "verdict" }, t(decidedAt ? `decisions.names.${made}` : "print.noDecision"), " ", mark(checked, true)),
    rows([
      [t("print.reason"), decidedAt && (reason ?? t("print.noReason"))],
      [t("decisions.findingReason"), findingReason],
      [t("print.decidedBy"), decidedAt && (decidedBy?.name ?? t("print.unknown"))],
      [t("print.decidedAt"), decidedAt && formatDateTime(decidedAt)],
      ...testRows(session, checked),
      [t("report.teamScore"), [scoreText(scores), " ", mark(checked, true)]],
    ]),
  );
}

function summary(data) {
  const { session, assessment, checked } = data;
  return section(
    "summary",
    rows([
      [t("print.candidate"), untrustedName(displayName(data))],
      [t("print.email"), session.candidateEmail && untrusted(session.candidateEmail)],
      [t("print.externalId"), !isHidden(session, session) && session.externalId && untrusted(session.externalId)],
      [t("print.assessment"), `${assessment.title}, ${assessment.role}`],
      [t("print.status"), t(`report.statuses.${workStatus(session)}`)],
      [t("print.taskRead"), session.taskReadAt && t("print.taskReadAt", { when: formatDateTime(session.taskReadAt) })],
      [t("print.limit"), assessment.timeLimitMinutes ? formatDuration(assessment.timeLimitMinutes * 60) : t("print.noLimit")],
      ...detailRows({ session, integrity: async () => checked }),
    ]),
  );
}

function testRows(session, checked) {
  const note = session.testResult?.note;
  return [
    ...testResults(session, (isStored) => [" ", mark(checked, isStored)]),
    [t("print.testNote"), note && untrusted(note)],
  ];
}

function repository({ repoUrl, repoCommit }) {
  return repoUrl && h("p", {}, t("print.repository"), " ", h("code", {}, repoUrl), repoCommit && [" @ ", h("code", {}, repoCommit)]);
}

function footer({ session }, me) {
  const name = me.person?.name ?? me.name;
  const now = new Date().toISOString();
  return h(
    "footer",
    {},
    h("p", {}, t("print.printed", { time: formatDateTime(now), zone: zoneName(now), name })),
    h("p", {}, t("print.address"), " ", h("code", {}, `${location.origin}${location.pathname}#/sessions/${session.id}`)),
  );
}
