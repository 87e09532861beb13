// Hiring decisions with their reasons. If someone else changed a decision, the change is shown before it can be replaced.

import * as api from "../shared/api.js";
import { ask, field, toast, toastError } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { findingText } from "../shared/findings.js";
import { candidateName } from "../shared/names.js";
import { formatNumber } from "../shared/numbers.js";
import { describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { plain } from "../shared/untrusted.js";

const DECISIONS = ["undecided", "advanced", "rejected", "hired"];
const WITH_REASON = ["rejected", "hired"];
const MAX_CRITERIA = 2;

/** Describe a hiring decision with its reasons, person and time. */
export function decisionText({ decision, decisionReason: reason, decisionFindingReason: findingReason, decidedBy, decidedAt }) {
  const by = decidedAt && [decidedBy?.name, formatDateTime(decidedAt)].filter(Boolean).join(", ");
  return [
    t(`decisions.names.${decision}`),
    reason && [": ", h("bdi", {}, reason)],
    findingReason && [` ${t("decisions.despite")} `, h("bdi", {}, findingReason)],
    by && h("span", { class: "quiet" }, ` ${by}`),
  ];
}

/** Ask for the hiring decision on a session or result. Calls `onDone` with the candidate after a change. */
export const decide = (row, { me, onDone }) => decideAll([row], { me, onDone });

/**
 * Ask for one decision on several candidates, each with its own reasons. Names those whose decision someone else changed
 * meanwhile, and leaves them out unless it is saved again.
 */
export async function decideAll(rows, { me, onDone }) {
  const { loaded: entries, gone } = await loadEach(rows, (row) => load(row, me));
  if (gone.length) toast(gone.join(" "));
  if (!entries.length) return;
  const current = entries.map(({ draft, candidate }) => draft?.decision ?? candidate.decision);
  const update = () => entries.forEach((entry) => entry.update(value.value));
  const value = h("select", { name: "decision", required: true, oninput: update }, DECISIONS.map((name) => h("option", { value: name }, t(`decisions.names.${name}`))));
  // Different decisions select nothing, so that saving does not reset them.
  value.value = new Set(current).size === 1 ? current[0] : null;
  if (value.value) update();
  const fields = entries.map(({ name, element }) => (entries.length > 1 ? h("fieldset", { class: "group" }, h("legend", {}, name), element) : element));
  await ask({ title: t("decisions.decideOn", { n: entries.length, name: entries[0].name }), content: [field(t("decisions.title"), value, t("decisions.reasonHint")), fields], save });
  for (const entry of entries) entry.stop();
  const done = entries.filter(({ isDone }) => isDone);
  if (done.length) toast(t("decisions.done", { n: done.length, name: done[0].name }));
  if (entries.some(({ isDone, isChanged }) => isDone || isChanged)) onDone(entries[0].candidate);

  async function save(form) {
    // Another decision would replace the warnings, and apply only to the candidates that are not saved yet.
    value.disabled = true;
    try {
      await saveAll(form);
    } finally {
      value.disabled = false;
    }
  }

  async function saveAll(form) {
    const loaded = await Promise.allSettled(entries.map(({ warnings }) => warnings));
    for (const [n, { status }] of loaded.entries()) if (status === "rejected") entries[n].update(value.value);
    await Promise.all(entries.map(({ warnings }) => warnings));
    if (!form.reportValidity()) throw new api.ApiError(400, { error: t("decisions.missingReason") });
    const waiting = entries.filter(({ isDone }) => !isDone);
    for (const entry of waiting) await put(entry, value.value);
    const left = waiting.filter(({ isDone }) => !isDone);
    if (left.length) throw new api.ApiError(400, { error: left.map((entry) => (entry.isChanged ? changedText(entry) : `${entry.name}: ${entry.problem}`)).join(" ") });
  }
}

/** Store a decision, unless someone else changed it meanwhile. */
async function put(entry, decision) {
  const { decidedAt, id } = entry.candidate;
  const body = { decision, ...entry.reasons() };
  const send = async () => {
    const response = await api.request("PUT", `/v1/candidates/${id}/decision`, { body, headers: { "If-Match": entry.etag } });
    entry.candidate = (await api.read(() => response.json())).candidate;
  };
  Object.assign(entry, { isChanged: false, problem: null });
  try {
    await send().catch(async (error) => {
      if (error.code !== "precondition_failed") throw error;
      Object.assign(entry, await loadCandidate(id));
      entry.isChanged = entry.candidate.decidedAt !== decidedAt;
      // Other fields of the candidate changed, but not the decision.
      if (!entry.isChanged) await send();
    });
  } catch (error) {
    // These concern a single candidate.
    if (![404, 409, 412].includes(error.status)) throw error;
    entry.problem = describeError(error)[1];
    return;
  }
  if (entry.isChanged) return;
  entry.isDone = true;
  entry.forget();
}

/** Load a candidate, with the ETag that prevents overwriting a later change. */
export const loadCandidate = (id) => api.getWithEtag(`/v1/candidates/${id}`);

/** Load each row's candidate, and add its `row`. `gone` names those who were revoked or erased. */
export async function loadEach(rows, load) {
  const results = await Promise.allSettled(rows.map(async (row) => Object.assign(await load(row), { row })));
  const failure = results.find(({ reason }) => reason && reason.status !== 404);
  if (failure) throw failure.reason;
  const gone = rows.filter((row, n) => results[n].reason).map((row) => `${candidateName(row, row)}: ${t("decisions.gone")}.`);
  return { loaded: results.filter(({ value }) => value).map(({ value }) => value), gone };
}

/** Load a candidate with the scores that suggest a reason. The entry's `element` has the fields for the reasons. */
async function load(row, me) {
  const loaded = await loadCandidate(row.candidateId);
  const { candidate } = loaded;
  const scorecard = candidate.sessionId && (await api.get(`/v1/sessions/${candidate.sessionId}/scores`));
  const draftName = `decision ${candidate.id}`;
  const stored = loadDraft(me, draftName);
  // A draft must not replace a later decision.
  const draft = stored?.decidedAt === candidate.decidedAt ? stored : null;
  const store = () => storeDraft(me, draftName, { decidedAt: entry.candidate.decidedAt, decision: entry.decision, suggested, ...entry.reasons() });
  const reason = h("textarea", { name: "reason", rows: 3, maxlength: 2000, oninput: store }, draft?.reason ?? "");
  const findingReason = h("textarea", { name: "findingReason", rows: 2, maxlength: 2000, oninput: store }, draft?.findingReason ?? candidate.decisionFindingReason ?? "");
  const findingField = field(t("decisions.findingReason"), findingReason, t("decisions.findingReasonHint"));
  findingField.hidden = true;
  const notice = h("ul", { class: "notice warn", role: "status", hidden: true });
  let suggested = draft?.suggested ?? "";
  let reading = new AbortController();
  const entry = {
    ...loaded,
    draft,
    name: candidateName(candidate, { blind: row.blind ?? true }),
    element: h("div", {}, notice, field(t("decisions.reason"), reason), findingField),
    reasons: () => ({ reason: reason.value.trim() || null, findingReason: (!findingField.hidden && findingReason.value.trim()) || null }),
    forget: () => storeDraft(me, draftName),
    stop: () => reading.abort(),
    update,
  };
  return entry;

  /** Suggest a reason unless it was edited, and show what speaks against the decision. */
  function update(decision) {
    entry.decision = decision;
    const stored = decision === candidate.decision ? candidate.decisionReason : null;
    if (reason.value === suggested) reason.value = suggested = stored ?? suggestReason(scorecard, decision);
    reason.required = WITH_REASON.includes(decision);
    // Each is a check of a session, and other pages wait for them.
    reading.abort();
    reading = new AbortController();
    entry.warnings = api.get(`/v1/candidates/${candidate.id}/decision-warnings`, { query: { decision }, signal: reading.signal });
    entry.warnings.then((found) => entry.decision === decision && show(found), toastError);
  }

  function show({ warnings }) {
    fill(notice, warnings.map(({ message, findingCodes, sessionIds }) => h("li", {}, message, findingCodes && ` ${findingCodes.map(findingText).join(", ")}.`, sessionIds && [" ", h("a", { href: `#/compare/${candidate.sessionId}/${sessionIds[0]}`, target: "_blank" }, t("board.compare"))])));
    notice.hidden = !warnings.length;
    findingReason.required = warnings.some(({ code }) => code === "results_changed");
    findingField.hidden = !findingReason.required;
  }
}

/** Name the lowest or highest criteria: `Testing 1 of 4, Communication 2 of 4` */
function suggestReason(scorecard, decision) {
  if (!scorecard || decision === "undecided") return "";
  const sign = decision === "rejected" ? 1 : -1;
  const share = ({ mean, lowest, highest }) => (mean - lowest) / (highest - lowest);
  const scored = scorecard.criteria.filter(({ mean }) => mean !== null);
  const chosen = scored.sort((a, b) => sign * (share(a) - share(b))).slice(0, MAX_CRITERIA);
  return chosen.map(({ title, mean, highest }) => t("decisions.criterion", { title, mean: formatNumber(mean), highest })).join(", ");
}

function changedText({ name, candidate: { decision, decisionReason: reason, decidedBy } }) {
  const text = [t(`decisions.names.${decision}`), reason].filter(Boolean).join(": ");
  return t("decisions.changed", { candidate: name, name: decidedBy?.name ?? t("decisions.unknownPerson"), decision: plain(text) });
}
