// A session report's header: candidate, times, results and integrity.

import * as api from "../shared/api.js";
import { fill, h } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { findingText, isChanged } from "../shared/findings.js";
import { candidateName, isHidden } from "../shared/names.js";
import { formatDollars, formatNumber } from "../shared/numbers.js";
import { scoreText } from "../shared/scores.js";
import { testResults } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDuration, formatDateTime, zoneName } from "../shared/time.js";
import { untrustedName, untrusted } from "../shared/untrusted.js";

// Findings that leave the recording's integrity unknown.
const UNVERIFIED = new Set(["seal_missing", "seal_key_unknown"]);
const MAX_EVENT_LINKS = 5;

/** Build the header: name, assessment, status, integrity, times, results and links. */
export function header(report, findings, { setTitle, can }) {
  const { session } = report;
  const name = candidateName(session, session);
  setTitle(name);
  const siblings = h("nav", { class: "siblings", "aria-label": t("report.siblings") });
  loadSiblings(siblings, report);
  const link = (path, text, kind = "secondary") => h("a", { class: kind, href: `#${path}` }, text);
  return h(
    "header",
    { class: "report-head" },
    h(
      "div",
      { class: "page-head" },
      h(
        "div",
        {},
        h(
          "p",
          { class: "company" },
          h("a", { href: `#/assessments/${session.assessmentId}` }, untrusted(session.assessmentTitle)),
        ),
        h(
          "h1",
          { tabindex: "-1" },
          untrustedName(name),
          " ",
          h("span", { class: `status status-${session.status}` }, t(`report.statuses.${session.status}`)),
        ),
        isHidden(session, session) && !session.erasedAt && h("p", { class: "quiet" }, t("common.hiddenName")),
        session.candidateName && session.candidateEmail && h("p", { class: "quiet" }, untrusted(session.candidateEmail)),
      ),
      h(
        "div",
        { class: "actions" },
        siblings,
        link(`/sessions/${session.id}/print`, t("report.print")),
        link(`/sessions/${session.id}/score`, t(can("write") && !session.erasedAt ? "report.score" : "report.scores"), "primary"),
      ),
    ),
    notices(session),
    findings,
    numbers(session, loadScore(report)),
  );
}

function notices(session) {
  if (session.erasedAt) return erasedNotice(session);
  const erasureNotice =
    session.erasureRequestedAt &&
    notice(
      "warn",
      t("report.erasureRequestedTitle"),
      t("report.erasureRequested", { when: formatDateTime(session.erasureRequestedAt) }),
    );
  if (session.status !== "active") return erasureNotice;
  const refresh = h(
    "button",
    { type: "button", class: "secondary", onclick: () => dispatchEvent(new HashChangeEvent("hashchange")) },
    t("report.refresh"),
  );
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
export function erasedNotice({ erasedAt }) {
  return notice("warn", t("report.erasedTitle", { when: formatDateTime(erasedAt) }), t("report.erased"));
}

function notice(kind, title, text, ...more) {
  return h("div", { class: `notice ${kind}` }, h("strong", {}, title), h("p", {}, text), ...more);
}

/** Build the row of numbers. */
function numbers(session, score) {
  const { metrics } = session;
  const end = session.completedAt ?? session.closedAt;
  const uncounted = [
    session.duplicateEventCount > 0 && t("report.duplicates", { n: session.duplicateEventCount }),
    session.lateEventCount > 0 && t("report.lateEvents", { n: session.lateEventCount }),
  ].filter(Boolean);
  const rows = [
    [t("report.started"), formatDateTime(session.redeemedAt), zoneName(session.redeemedAt)],
    [t(session.completedAt ? "report.completed" : "report.closed"), end ? formatDateTime(end) : t("report.notYet"), null],
    [t("report.duration"), ...duration(session)],
    [t("report.eventCount"), formatNumber(session.eventCount), uncounted.join(", ")],
    ...testResults(session),
    [t("report.teamScore"), score, null],
    [t("report.decision"), t(`decisions.names.${session.decision}`), session.decidedBy?.name],
    metrics && [
      t("report.cost"),
      metrics.totalCostUsd === null ? t("report.unknown") : formatDollars(metrics.totalCostUsd),
      null,
    ],
  ];
  return h(
    "dl",
    { class: "report-numbers" },
    rows
      .filter(Boolean)
      .map(([name, value, hint]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, value, hint && h("span", { class: "quiet" }, hint))),
      ),
  );
}

/** Load and show the team's score. */
function loadScore({ path, signal }) {
  const element = h("span", {}, "…");
  api
    .get(`${path}/scores`, { signal })
    .then((scores) => fill(element, scoreText(scores)))
    .catch(() => fill(element, t("report.unknown")));
  return element;
}

function duration({ status, metrics }) {
  if (status === "active") return [t("report.notYet"), null];
  const durationMs = metrics?.durationMs ?? null;
  return [durationMs === null ? t("report.unknown") : formatDuration(durationMs / 1000), t("report.durationHint")];
}

/** Load links to the previous and next candidates, ordered by start time. */
async function loadSiblings(nav, { session, signal }) {
  const query = { assessmentId: session.assessmentId };
  const all = await api.all("/v1/sessions", "sessions", { query, signal }).catch(() => []);
  const at = all.findIndex(({ id }) => id === session.id);
  if (at < 0 || all.length < 2) return;
  const link = (other, text, symbol) => {
    const label = { "aria-label": text, title: text };
    return other
      ? h("a", { class: "secondary", href: `#/sessions/${other.id}`, ...label }, symbol)
      : h("span", { class: "secondary off", "aria-hidden": "true" }, symbol);
  };
  fill(
    nav,
    link(all[at - 1], t("report.previous"), "←"),
    h("span", { class: "quiet" }, t("report.position", { at: at + 1, n: all.length })),
    link(all[at + 1], t("report.next"), "→"),
  );
}

// Integrity

/** Build the integrity section. An altered recording is an alert. */
export function integrity({ findings, counts, checkpoint }, { session }) {
  const others = byCode(findings).filter(({ code }) => code !== "erased");
  const verdict = getVerdict(others, counts, session);
  const state = [recorded(counts, verdict), checkpointText(checkpoint), signatures(counts)].filter(Boolean).join(" ");
  const title = t(`report.integrity.${verdict}Title`, { n: others.length });
  if (!others.length) return notice(verdict === "none" ? "good" : "", title, state);
  const isLoud = verdict === "broken" || verdict === "unverified";
  return h(
    "div",
    { class: isLoud ? "notice bad broken" : "notice warn", role: isLoud ? "alert" : null },
    h("strong", {}, title),
    h("p", {}, t(`report.integrity.${verdict}`)),
    h(
      "ul",
      { class: "integrity-findings" },
      sorted(others).map((finding) => h("li", {}, findingView(finding, session))),
    ),
    h("p", {}, state),
  );
}

/** Return `broken`, `unverified`, `findings`, `none`, or `emptyState` if there are no events. */
function getVerdict(findings, counts, session) {
  if (isChanged(findings.map(({ code }) => code))) return "broken";
  if (findings.some(({ code }) => UNVERIFIED.has(code))) return "unverified";
  if (findings.length) return "findings";
  if (counts.events) return "none";
  return session.erasedAt ? "erased" : "empty";
}

function recorded({ events, recorded, notRecorded }, verdict) {
  if (!events) return null;
  const isIntact = verdict === "none" && !notRecorded;
  return t(isIntact ? "report.integrity.recorded" : "report.integrity.partlyRecorded", { n: events, recorded });
}

/** Group findings by code. */
function byCode(findings) {
  return [...Map.groupBy(findings, ({ code }) => code).values()].map((group) => ({
    ...group[0],
    eventIds: group.flatMap(({ eventIds }) => eventIds),
    count: group.reduce((sum, { count }) => sum + count, 0),
  }));
}

function sorted(findings) {
  return findings.toSorted((first, second) => isChanged([second.code]) - isChanged([first.code]));
}

function findingView({ code, explanation, eventIds, count }, session) {
  const links = eventIds
    .slice(0, MAX_EVENT_LINKS)
    .map((id, n) => [
      n > 0 && ", ",
      h("a", { href: eventLink(session.id, id) }, t("report.integrity.event", { n: n + 1 })),
    ]);
  const remaining = count - Math.min(eventIds.length, MAX_EVENT_LINKS);
  return [
    h("strong", {}, findingText(code)),
    count > 1 && ` (${t("report.integrity.count", { n: count })})`,
    ": ",
    explanation,
    links.length > 0 && [" ", links, remaining > 0 && ` ${t("report.integrity.more", { n: remaining })}`],
  ];
}

function checkpointText(checkpoint) {
  if (!checkpoint) return t("report.integrity.checkpointLater");
  return t("report.integrity.checkpoint", { when: formatDateTime(checkpoint.createdAt) });
}

function signatures({ events, valid }) {
  if (!events) return null;
  return valid ? t("report.integrity.signed", { n: valid }) : t("report.integrity.unsigned");
}
