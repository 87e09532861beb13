// Columns of the board's table.

import { h } from "../shared/dom.js";
import { describeFindings, findingText } from "../shared/findings.js";
import { workStatus } from "../shared/names.js";
import { formatNumber } from "../shared/numbers.js";
import { spreadText, totalText } from "../shared/scores.js";
import { hiddenCell, runMarks, runResult } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatDay, formatRelative } from "../shared/time.js";
import { plainName, untrusted } from "../shared/untrusted.js";

/**
 * name -- `(row) => text`
 * menu -- `(row) => node`
 * isHidden -- `(row) => boolean`, true if a blind assessment hides the name: shows no external id either
 * criteria -- the rubric's; empty across assessments
 * assessment -- null across assessments, which adds a column with the assessment
 */
export function columns({ name, menu, isHidden, criteria, assessment }) {
  const isSortable = !assessment?.blind;
  return [
    { name: "candidateName", label: t("board.candidate"), sortable: isSortable, render: (row) => candidateCell(row, name, isHidden) },
    ...(assessment ? [] : [{ name: "assessment", label: t("board.assessment"), wide: true, render: (row) => h("a", { href: `#/assessments/${row.assessmentId}` }, untrusted(row.assessmentTitle)) }]),
    { name: "hiddenTests", label: t("tests.hidden"), hint: t("board.hiddenHint"), sortable: true, numeric: true, wide: true, initialOrder: "desc", render: (row) => hiddenCell(row.hiddenTests, row.integrityFindings) ?? dash() },
    { name: "rank", label: t("board.total"), hint: totalHint(criteria), sortable: true, numeric: true, initialOrder: "desc", render: scoreCell },
    ...criteria.map(({ key, title }) => ({ name: `criterion ${key}`, label: untrusted(title), numeric: true, wide: true, render: ({ score }) => meanCell(score, key) })),
    { name: "reviewers", label: t("reviewers.title"), hint: t("board.spreadHint"), numeric: true, wide: true, render: reviewersCell },
    { name: "integrity", label: t("board.integrity"), hint: t("board.integrityHint"), wide: true, render: findingsCell },
    { name: "status", label: t("board.status"), sortable: true, wide: true, render: (row) => [h("span", { class: `pill status-${workStatus(row)}` }, statusText(row)), note(statusNote(row))] },
    { name: "decision", label: t("decisions.title"), sortable: true, render: decisionCell },
    { name: "actions", label: h("span", { class: "visually-hidden" }, t("board.actions")), render: menu },
  ];
}

/** Explain the total, with the lowest possible one if all rows have the same criteria. */
function totalHint(criteria) {
  const lowest = criteria.reduce((sum, { weight, levels }) => sum + weight * Math.min(...levels.map(({ value }) => value)), 0);
  return [t("board.scoreHint"), lowest && t("board.lowestHint", { n: lowest })].filter(Boolean).join(". ");
}

const dash = () => h("span", { class: "quiet" }, t("metrics.none"));
const note = (text) => text && h("span", { class: "quiet cell-note" }, text);

/** Name, external id and, on narrow screens, what the hidden columns say. */
function candidateCell(row, name, isHidden) {
  const externalId = row.externalId && plainName(row.externalId);
  const details = externalId && externalId !== name(row) && !isHidden(row) && externalId;
  const hidden = row.hiddenTests && [`${t("tests.hidden")}: ${runResult(row.hiddenTests)}`, runMarks(row.hiddenTests)].filter(Boolean).join(", ");
  const narrow = [statusText(row), statusNote(row), hidden, ...findings(row), ...scoreMarks(row)].filter(Boolean);
  return [h("span", { "data-name": true }, name(row)), note(details), h("span", { class: "cell-note narrow quiet" }, narrow.join(" · "))];
}

/** `Never started` or `Not completed` instead of the API's `expired`. */
function statusText(row) {
  const status = workStatus(row);
  return t(status === "expired" && !row.sessionId ? "board.neverStarted" : `report.statuses.${status}`);
}

function statusNote({ status, erasureRequestedAt, invite, expiresAt, completedAt }) {
  if (erasureRequestedAt) return t("board.erasureRequested");
  if (completedAt) return formatDay(completedAt);
  if (status !== "pending") return null;
  if (["failed", "queued", "canceled", "suppressed"].includes(invite?.state)) return t(`board.invite.${invite.state}`);
  return t("board.expires", { when: formatRelative(expiresAt) });
}

const findings = ({ integrityFindings }) => (integrityFindings?.codes ?? []).map(findingText);
const isUnchecked = ({ sessionId, status, integrityFindings }) => sessionId && status !== "active" && !integrityFindings;
const findingsCell = (row) => (findings(row).length || isUnchecked(row) ? describeFindings(row.integrityFindings) : dash());

function scoreCell({ score }) {
  if (score.hidden) return note(t("board.scoreHidden"));
  const scored = score.criteria.filter(({ mean }) => mean !== null);
  if (!scored.length) return dash();
  if (score.total === null) return [dash(), note(t("board.partiallyScored", { n: scored.length, all: score.criteria.length }))];
  return [h("strong", {}, totalText(score)), score.spread !== null && h("span", { class: "quiet cell-note narrow" }, spreadText(score.spread))];
}

function meanCell({ criteria, hidden }, key) {
  if (hidden) return note(t("board.scoreHidden"));
  const mean = criteria.find((criterion) => criterion.key === key)?.mean ?? null;
  return mean === null ? dash() : formatNumber(mean);
}

/** Name what limits a visible score. */
const scoreMarks = ({ score }) => (score && !score.hidden ? [score.disagreement && t("board.discuss"), score.independent === false && t("board.notIndependent")] : []);

function reviewersCell({ score: { hidden, reviewers, spread, disagreement, independent } }) {
  if (hidden) return note(t("board.scoreHidden"));
  if (!reviewers) return dash();
  const apart = spread !== null && spreadText(spread);
  return [reviewers, disagreement ? [apart, t("board.discuss")].map((text) => h("strong", { class: "cell-note" }, text)) : note(apart), note(independent === false && t("board.notIndependent"))];
}

function decisionCell({ decision }) {
  if (decision === "undecided") return dash();
  return h("span", { class: `pill decision-${decision}` }, t(`decisions.names.${decision}`));
}
