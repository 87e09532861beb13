// Scores in the printable report: each reviewer's level, comment and evidence by criterion.

import { h } from "../shared/dom.js";
import { kindName, loadEvent } from "../shared/events.js";
import { formatNumber } from "../shared/numbers.js";
import { totalText } from "../shared/scores.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDateTime } from "../shared/time.js";
import { untrusted } from "../shared/untrusted.js";

// Evidence that is a line of the diff or a test, not an event.
const PLACE = /^(diff|test):/;
const MAX_EVENTS = 200;

/** Load the events that scores cite as evidence, as a Map by id. The value is null if the event no longer exists. */
export async function loadEvidence(sessionId, { criteria, recommendation }, signal) {
  const ids = [...new Set([...criteria, ...(recommendation ? [recommendation] : [])].flatMap(({ scores }) => scores.flatMap(({ evidence }) => evidence)))].filter((id) => !PLACE.test(id)).slice(0, MAX_EVENTS);
  const events = new Map();
  for (const id of ids) events.set(id, await loadEvent(sessionId, id, { signal }));
  return events;
}

/** Build the section with all criteria and scores. */
export function scoresSection({ scores, evidence }) {
  if (!scores.rubric) return h("p", {}, t("print.noRubric"));
  const total = scores.total === null ? t(scores.othersHidden ? "report.scoreHidden" : "print.noTotal") : t("print.total", { total: totalText(scores), lowest: formatNumber(scores.lowestTotal) });
  const isOld = scores.currentRubricVersion !== null && scores.rubricVersion !== scores.currentRubricVersion;
  return [
    scores.othersHidden && h("p", { class: "notice warn" }, t("print.othersHidden")),
    h("p", {}, h("strong", {}, total), " ", t("print.rubric", { name: scores.rubricName, version: scores.rubricVersion }), isOld && ` ${t("print.oldVersion", { version: scores.currentRubricVersion })}`),
    scores.criteria.map((criterion) => criterionView(criterion, evidence)),
    scores.recommendation?.scores.length > 0 && criterionView({ ...scores.recommendation, title: t("scoring.recommendation") }, evidence),
  ];
}

function criterionView(criterion, evidence) {
  const { title, weight, mean, lowest, highest, disagreement, scores } = criterion;
  const details = [weight !== undefined && t("print.weight", { weight }), mean === null ? t("print.notScored") : t("print.mean", { mean: formatNumber(mean), lowest, highest })];
  return h(
    "section",
    { class: "criterion" },
    h("h3", {}, title, h("span", { class: "quiet" }, ` ${details.filter(Boolean).join(" · ")}`)),
    disagreement && h("p", { class: "notice warn" }, t("print.disagreement")),
    scores.toReversed().map((score) => scoreView(score, criterion, evidence)),
  );
}

function scoreView(score, criterion, evidence) {
  const level = criterion.levels.find(({ value }) => value === score.value);
  const earlier = criterion.history.filter(({ reviewer, createdAt }) => reviewer.id === score.reviewer.id && createdAt < score.createdAt);
  return h(
    "div",
    { class: "score" },
    h("p", {}, h("strong", {}, `${score.reviewer.name}: ${score.value}${level ? ` ${level.label}` : ""}`), h("span", { class: "quiet" }, ` ${formatDateTime(score.createdAt)}`), score.independent === false && h("span", { class: "quiet" }, ` · ${t("print.notIndependent")}`)),
    level?.description && h("p", { class: "quiet" }, level.description),
    h("p", { class: "comment" }, score.comment ?? t("print.noComment")),
    score.reason && h("p", { class: "quiet" }, t("print.revised", { reason: score.reason })),
    earlier.length > 0 && h("p", { class: "quiet" }, t("print.earlier", { values: earlier.map(earlierText).join(", ") })),
    score.evidence.length > 0 && h("ul", { class: "evidence", "aria-label": t("print.evidence") }, score.evidence.map((id) => h("li", {}, eventView(id, evidence.get(id))))),
  );
}

function earlierText({ value, createdAt, withdrawnAt }) {
  return t(withdrawnAt ? "print.earlierWithdrawn" : "print.earlierValue", { value, time: formatDateTime(createdAt) });
}

function eventView(id, event) {
  if (PLACE.test(id)) return h("code", {}, untrusted(id.replace(PLACE, "")));
  if (event === undefined) return h("code", {}, id); // beyond MAX_EVENTS
  if (!event) return [t("print.missingEvent"), " ", h("code", {}, id)];
  return [
    h("span", { class: "quiet" }, `${formatClock(event.ts, { seconds: true })} · ${kindName(event.kind)} · `),
    h("q", {}, untrusted(event.summary)),
    !event.counts && h("span", { class: "quiet" }, ` (${t("print.notCounted")})`),
  ];
}
