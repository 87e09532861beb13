// A session report's header with the verdict strip, and its collapsed details.

import { decide, decisionText } from "../decisions/decision.js";
import * as api from "../shared/api.js";
import { boardOrder } from "../shared/board_order.js";
import { runAction } from "../shared/dialogs.js";
import { fill, h, pairs } from "../shared/dom.js";
import { changesResults, findingText, loadMark } from "../shared/findings.js";
import { candidateName, isHidden, workStatus } from "../shared/names.js";
import { formatDollars, formatNumber } from "../shared/numbers.js";
import { scoreText, weighted } from "../shared/scores.js";
import { testResults } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDuration, formatDateTime, zoneName } from "../shared/time.js";
import { untrustedName, untrusted } from "../shared/untrusted.js";
import { momentsList } from "./moments.js";
import { isLoud, summarize } from "./report_findings.js";

/** Build the header: name, assessment, status, warnings, and the verdict strip. */
export function header(report, { setTitle, can }) {
  const { session } = report;
  const name = candidateName(session, session);
  setTitle(name);
  const siblings = h("nav", { class: "siblings", "aria-label": t("report.siblings") });
  loadSiblings(siblings, report);
  return h(
    "header",
    { class: "report-head" },
    h(
      "div",
      { class: "page-head" },
      h(
        "div",
        {},
        h("p", { class: "company" }, h("a", { href: `#/assessments/${session.assessmentId}` }, untrusted(session.assessmentTitle))),
        h(
          "h1",
          { tabindex: "-1" },
          untrustedName(name),
          " ",
          h("span", { class: `status status-${workStatus(session)}` }, t(`report.statuses.${workStatus(session)}`)),
        ),
        isHidden(session, session) && !session.erasedAt && h("p", { class: "quiet" }, t("common.hiddenName")),
        session.candidateName && session.candidateEmail && h("p", { class: "quiet" }, untrusted(session.candidateEmail)),
      ),
      h(
        "div",
        { class: "actions" },
        siblings,
        h("a", { class: "secondary", href: `#/sessions/${session.id}/print` }, t("report.print")),
        h("a", { class: "primary", href: `#/sessions/${session.id}/score` }, t(can("write") && !session.erasedAt ? "report.score" : "report.scores")),
      ),
    ),
    notices(session),
    verdict(report, can),
  );
}

/** Build the strip with what a decision needs: tests, scores, findings, the hiring decision and moments. */
function verdict(report, can) {
  const { session, integrity, signal } = report;
  const cell = (name, ...content) => h("div", {}, h("dt", {}, name), h("dd", {}, content));
  const tests = testResults(session, (isStored) => loadMark(integrity, isStored));
  return h(
    "section",
    { class: "verdict-strip", "aria-label": t("report.verdict.title") },
    h(
      "dl",
      { class: "report-numbers" },
      tests.map(([label, text, detail]) => cell(label, text, detail && h("span", { class: "quiet" }, detail))),
      cell(t("report.teamScore"), loadMark(integrity, true), later(() => api.get(`${report.path}/scores`, { signal }), (scorecard) => scoresByCriterion(scorecard, report))),
      cell(t("report.integrity.title"), later(integrity, (response) => findingsSummary(response, report))),
      cell(t("decisions.title"), loadMark(integrity, true), decision(report, can)),
    ),
    !session.erasedAt && h("div", { class: "verdict-moments" }, h("h2", {}, t("report.verdict.moments")), momentsList(report)),
  );
}

/** Build a place that is filled once `load` is done. */
function later(load, render) {
  const place = h("div", {}, "…");
  load().then((value) => fill(place, render(value))).catch(() => fill(place, t("report.unknown")));
  return place;
}

function scoresByCriterion(scorecard, { session }) {
  const { criteria, othersHidden, recommendation } = scorecard;
  const total = scoreText(scorecard);
  if (othersHidden) return h("a", { href: `#/sessions/${session.id}/score` }, total);
  if (!criteria?.some(({ mean }) => mean !== null)) return total;
  const isDependent = [...criteria, recommendation].some((each) => each?.scores.some(({ independent }) => independent === false));
  const rows = criteria.map(({ title, mean, highest, weight }) => [weighted(title, weight), mean === null ? t("report.notScored") : t("scores.total", { total: formatNumber(mean), highest })]);
  const label = ({ value }) => recommendation.levels.find((level) => level.value === value)?.label;
  if (recommendation?.scores.length) rows.push([t("scoring.recommendation"), recommendation.scores.map(label).join(", ")]);
  return [
    total,
    scorecard.total !== null && h("span", { class: "quiet" }, t("report.verdict.lowest", { n: formatNumber(scorecard.lowestTotal) })),
    h("ul", { class: "verdict-scores" }, rows.map(([title, text]) => h("li", {}, h("span", {}, title), h("span", {}, text)))),
    isDependent && h("span", { class: "quiet" }, t("report.verdict.notIndependent")),
  ];
}

/** Summarize the findings in the strip, as an alert if the recording was altered or cannot be verified. */
function findingsSummary(response, report) {
  const { findings, verdict: name, title } = summarize(response, report.session);
  const open = (click) => {
    click.preventDefault();
    report.openTab("findings");
  };
  if (!findings.length) return t(name === "none" ? "board.noFindings" : `report.integrity.${name}Title`);
  const link = h("a", { href: `#/sessions/${report.session.id}?tab=findings`, onclick: open }, title);
  const list = h("ul", { class: "finding-list" }, findings.map(({ code }) => h("li", {}, findingText(code))));
  return isLoud(name) ? h("div", { class: "notice bad", role: "alert" }, link, list) : [link, list];
}

function decision(report, can) {
  const { session, integrity, me } = report;
  const text = h("div");
  const warning = h("div", { class: "quiet" });
  const button = can("write") && !session.erasedAt && h("button", { type: "button", class: "small", onclick: ({ currentTarget }) => runAction(currentTarget, () => decide(session, { me, onDone })) });
  show(session);
  return [text, warning, button];

  /** A decision can reveal the team's scores. */
  async function onDone(current) {
    show(current);
    await report.refresh();
    await report.reloadScores?.();
  }

  function show(current) {
    const isDecided = current.decision !== "undecided";
    fill(text, decisionText(current));
    fill(warning);
    if (button) fill(button, t(isDecided ? "decisions.change" : "decisions.actions.decide"));
    // An erasure deletes the reasons.
    if (!isDecided || current.decisionFindingReason || session.erasedAt) return;
    const warn = ({ findings }) => changesResults(findings.map(({ code }) => code)) && fill(warning, t("decisions.despiteNothing"));
    integrity().then(warn).catch(() => {});
  }
}

function notices(session) {
  if (session.erasedAt) return erasedNotice(session);
  const erasureNotice = session.erasureRequestedAt && notice("warn", t("report.erasureRequestedTitle"), t("report.erasureRequested", { when: formatDateTime(session.erasureRequestedAt) }));
  if (session.status !== "active") return erasureNotice;
  const refresh = h("button", { type: "button", class: "secondary", onclick: () => dispatchEvent(new HashChangeEvent("hashchange")) }, t("report.refresh"));
  const text = t(session.closesAt ? "report.runningUntil" : "report.running", {
    now: formatClock(Date.now()),
    end: session.closesAt && formatDateTime(session.closesAt),
  });
  return [
    erasureNotice,
    h(
      "div",
      { class: "notice running" },
      h("div", {}, h("strong", {}, t("report.runningTitle")), h("p", {}, text)),
      refresh,
    ),
  ];
}

/** Build a notice that the candidate's data was erased. */
function erasedNotice({ erasedAt }) {
  return notice("warn", t("report.erasedTitle", { when: formatDateTime(erasedAt) }), t("report.erased"));
}

function notice(kind, title, text, ...more) {
  return h("div", { class: `notice ${kind}` }, h("strong", {}, title), h("p", {}, text), ...more);
}

/** Build the collapsed details at the end of the report. */
export function sessionDetails(report) {
  return h("details", { class: "panel report-details" }, h("summary", {}, t("report.verdict.details")), pairs(detailRows(report)));
}

/** List times, counts and hashes as `[name, value, detail]`. */
export function detailRows({ session, integrity }) {
  const { metrics, submission } = session;
  const end = session.completedAt ?? session.closedAt;
  const uncounted = [
    session.duplicateEventCount > 0 && t("report.duplicates", { n: session.duplicateEventCount }),
    session.lateEventCount > 0 && t("report.lateEvents", { n: session.lateEventCount }),
  ].filter(Boolean);
  const marked = (text) => [text, loadMark(integrity)];
  return [
    [t("report.started"), formatDateTime(session.redeemedAt), zoneName(session.redeemedAt)],
    [t(session.completedAt ? "report.completed" : "report.closed"), end ? formatDateTime(end) : t("report.notYet")],
    [t("report.duration"), ...duration(session, marked)],
    [t("report.eventCount"), marked(formatNumber(session.eventCount)), uncounted.join(", ")],
    metrics && [t("report.cost"), marked(metrics.totalCostUsd === null ? t("report.unknown") : formatDollars(metrics.totalCostUsd))],
    [t("report.verdict.submission"), submission && h("code", {}, submission.sha256), submission && formatDateTime(submission.receivedAt)],
    [t("report.verdict.checkpoint"), later(integrity, checkpointText)],
    [t("report.verdict.session"), h("code", {}, session.id)],
  ].filter(Boolean);
}

function checkpointText({ checkpoint }) {
  if (!checkpoint) return t("report.integrity.checkpointLater");
  const { head, position, createdAt } = checkpoint;
  return [h("code", {}, head), h("br"), t("report.verdict.checkpointText", { position, time: formatDateTime(createdAt) })];
}

function duration({ status, metrics }, marked) {
  if (status === "active") return [t("report.notYet"), null];
  const durationMs = metrics?.durationMs ?? null;
  return [durationMs === null ? t("report.unknown") : marked(formatDuration(durationMs / 1000)), t("report.durationHint")];
}

/** Load links to the previous and next candidates, in the board's order or, without one, by start time. */
async function loadSiblings(nav, report) {
  const { session, signal } = report;
  const query = { assessmentId: session.assessmentId };
  const byStart = async () => (await api.all("/v1/sessions", "sessions", { query, signal }).catch(() => [])).map(({ id }) => id);
  const order = boardOrder(session.assessmentId);
  const all = order.includes(session.id) ? order : await byStart();
  const at = all.indexOf(session.id);
  if (at < 0 || all.length < 2) return;
  const link = (other, text, symbol) => {
    const label = { "aria-label": text, title: text };
    // Keeps the scorecard open.
    const onclick = ({ currentTarget }) => (currentTarget.href = `#${report.address.replace(session.id, other)}`);
    return other
      ? h("a", { class: "secondary", href: `#/sessions/${other}`, onclick, ...label }, symbol)
      : h("span", { class: "secondary off", "aria-hidden": "true" }, symbol);
  };
  fill(
    nav,
    link(all[at - 1], t("report.previous"), "←"),
    h("span", { class: "quiet" }, t("report.position", { at: at + 1, n: all.length })),
    link(all[at + 1], t("report.next"), "→"),
  );
}
