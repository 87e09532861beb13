// The findings about a session's recording: a tab of the report.

import { h } from "../shared/dom.js";
import { eventLink } from "../shared/events.js";
import { findingText, isChanged } from "../shared/findings.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";

// Findings that leave the recording's integrity unknown.
const UNVERIFIED = new Set(["seal_missing", "seal_key_unknown"]);
const MAX_EVENT_LINKS = 5;

export const load = (report) => report.integrity();

export const render = (response, report) => h("section", { class: "panel" }, h("h2", {}, t("report.tabs.findings")), integrity(response, report));

/** Build the verdict on a recording with its findings and their events. */
export function integrity(response, { session }) {
  const { findings, verdict, title } = summarize(response, session);
  const { counts, checkpoint } = response;
  const state = [recorded(counts, verdict), checkpointText(checkpoint), signatures(counts)].filter(Boolean).join(" ");
  if (!findings.length) return h("div", { class: verdict === "none" ? "notice good" : "notice" }, h("strong", {}, title), h("p", {}, state));
  return h(
    "div",
    { class: isLoud(verdict) ? "notice bad broken" : "notice warn" },
    h("strong", {}, title),
    h("p", {}, t(`report.integrity.${verdict}`)),
    h("ul", { class: "integrity-findings" }, findings.map((finding) => h("li", {}, findingView(finding, session)))),
    h("p", {}, state),
  );
}

/** Summarize the response of `GET …/integrity`: findings by code, the worst first, with the verdict and its title. */
export function summarize({ findings: all, counts }, session) {
  const others = byCode(all).filter(({ code }) => code !== "erased");
  const findings = others.toSorted((first, second) => isChanged([second.code]) - isChanged([first.code]));
  const verdict = getVerdict(findings, counts, session);
  return { findings, verdict, title: t(`report.integrity.${verdict}Title`, { n: findings.length }) };
}

/** True if no one should decide without asking about the recording. */
export const isLoud = (verdict) => verdict === "broken" || verdict === "unverified";

/** Return `broken`, `unverified`, `findings`, `none`, or, without events, `erased` or `empty`. */
function getVerdict(findings, counts, session) {
  if (isChanged(findings.map(({ code }) => code))) return "broken";
  if (findings.some(({ code }) => UNVERIFIED.has(code))) return "unverified";
  if (findings.length) return "findings";
  if (counts.events) return "none";
  return session.erasedAt ? "erased" : "empty";
}

function recorded({ events, recorded, notRecorded }, verdict) {
  if (!events) return null;
  if (verdict === "broken" && !notRecorded) return null; // A complete list would read as an intact one.
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

function findingView({ code, explanation, eventIds, count }, session) {
  const link = (id, n) => [n > 0 && ", ", h("a", { href: eventLink(session.id, id) }, t("report.integrity.event", { n: n + 1 }))];
  const links = eventIds.slice(0, MAX_EVENT_LINKS).map(link);
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
