// Columns of the board's table.

import { fill, h } from "../shared/dom.js";
import { describeFindings } from "../shared/findings.js";
import { METRICS } from "../shared/metrics.js";
import { spreadText, totalText } from "../shared/scores.js";
import { rowElement } from "../shared/table.js";
import { describeOwn, hiddenCell } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatClock, formatDay, formatRelative, zoneName } from "../shared/time.js";
import { plainName } from "../shared/untrusted.js";

/**
 * name -- `(row) => text`
 * menu -- `(row) => node`
 * isBlind -- true hides names, disables sorting by name, and shows external ids only next to a name
 */
export function columns({ name, isBlind, menu }) {
  const zone = t("board.zone", { zone: zoneName() });
  return [
    { name: "candidateName", label: t("board.candidate"), sortable: !isBlind, value: name, render: (row) => candidateCell(row, name, isBlind) },
    { name: "status", label: t("board.status"), sortable: true, wide: true, render: statusCell },
    { name: "redeemedAt", label: t("board.started"), hint: zone, sortable: true, wide: true, initialOrder: "desc", render: (row) => timeCell(row.redeemedAt) },
    { name: "completedAt", label: t("board.completed"), hint: zone, sortable: true, wide: true, initialOrder: "desc", render: (row) => timeCell(row.completedAt) },
    ...METRICS.map(metricColumn),
    { name: "testsPassed", label: t("board.tests"), sortable: true, wide: true, initialOrder: "desc", render: testsCell },
    { name: "hiddenTests", label: t("tests.hidden"), hint: t("board.hiddenHint"), sortable: true, wide: true, initialOrder: "desc", render: (row) => hiddenCell(row.hiddenTests) ?? dash() },
    { name: "scoreTotal", label: t("board.score"), hint: t("board.scoreHint"), sortable: true, numeric: true, initialOrder: "desc", render: scoreCell },
    { name: "scoreSpread", label: t("board.spread"), hint: t("board.spreadHint"), sortable: true, wide: true, initialOrder: "desc", render: spreadCell },
    { name: "integrity", label: t("board.integrity"), hint: t("board.integrityHint"), wide: true, render: integrityCell },
    { name: "decision", label: t("board.decision"), sortable: true, render: decisionCell },
    { name: "actions", label: h("span", { class: "visually-hidden" }, t("board.actions")), render: menu },
  ];
}

function metricColumn({ name, label, definition, format }) {
  const render = (row) => (row.metrics && row.metrics[name] !== null ? format(row.metrics[name]) : dash());
  return { name, label, hint: definition, sortable: true, numeric: true, wide: true, render };
}

const dash = () => h("span", { class: "quiet" }, t("metrics.none"));

function candidateCell(row, name, isBlind) {
  const externalId = row.externalId && plainName(row.externalId);
  const showsExternalId = externalId && externalId !== name(row) && !(isBlind && !row.candidateName);
  const details = showsExternalId && note(externalId);
  const status = h("span", { class: "quiet cell-note narrow" }, t(`board.statuses.${row.status}`));
  return [h("span", { "data-name": true }, name(row)), details, status];
}

function statusCell(row) {
  const note = row.status === "expired" && !row.sessionId && t("board.neverStarted");
  return [h("span", { class: `pill status-${row.status}` }, t(`board.statuses.${row.status}`)), h("span", { class: "quiet cell-note", "data-note": true }, note)];
}

function timeCell(timestamp) {
  if (!timestamp) return dash();
  return h("time", { datetime: timestamp, class: "cell-time" }, formatDay(timestamp), note(formatClock(timestamp)));
}

function integrityCell(row) {
  return row.metrics ? describeFindings(row.integrityFindings) : dash();
}

function testsCell(row) {
  if (row.testsPassed === null) return dash();
  const [text, source] = describeOwn(row);
  return [h("span", { class: row.testsPassed ? "mark-good" : "mark-bad" }, text), note(source)];
}

function scoreCell({ score }) {
  if (score.hidden) return [dash(), note(t("board.scoreHidden"))];
  const scored = score.criteria.filter(({ mean }) => mean !== null);
  if (!scored.length) return dash();
  const reviewers = Math.max(...scored.map((criterion) => criterion.reviewers));
  if (score.total === null) return [dash(), note(t("board.partiallyScored", { n: scored.length, all: score.criteria.length }))];
  const spread = score.spread !== null && h("span", { class: "quiet cell-note narrow" }, spreadText(score.spread));
  return [h("strong", {}, totalText(score)), note(t("board.reviewers", { n: reviewers })), spread];
}

const note = (text) => h("span", { class: "quiet cell-note" }, text);

function spreadCell({ score }) {
  if (score.spread === null) return dash();
  return score.disagreement ? [h("strong", {}, spreadText(score.spread)), note(t("board.discuss"))] : spreadText(score.spread);
}

function decisionCell({ decision }) {
  const text = t(`board.decisions.${decision}`);
  return decision === "undecided" ? h("span", { class: "quiet" }, text) : h("span", { class: `pill decision-${decision}` }, text);
}

/** Fill in names and the status of keys and invitations. */
export function addCandidateDetails(table, rows, candidates, name) {
  for (const row of rows) {
    const candidate = candidates.get(row.candidateId);
    const element = candidate && rowElement(table, row.candidateId);
    if (!element) continue;
    if (!row.candidateName) fill(element.querySelector("[data-name]"), name(row));
    const status = candidateNote(row, candidate);
    if (status) fill(element.querySelector("[data-note]"), status);
  }
}

function candidateNote(row, candidate) {
  if (candidate.erasureRequestedAt) return t("board.erasureRequested");
  if (row.status !== "pending") return null;
  if (candidate.invite?.state === "failed") return t("board.inviteFailed");
  if (candidate.invite?.state === "queued") return t("board.inviteQueued");
  return t("board.expires", { when: formatRelative(candidate.expiresAt) });
}
