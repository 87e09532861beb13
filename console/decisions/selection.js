// Actions on candidates: one confirmation lists who gets which email. Candidates who changed meanwhile are left out.

import * as api from "../shared/api.js";
import { readCells } from "../shared/csv.js";
import { ask, field, runAction, toast } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { candidateName } from "../shared/names.js";
import { describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { decideAll, loadCandidate, loadEach } from "./decision.js";

// A decision also loads scores and warnings, and requests are limited per minute.
const [MAX_ROWS, MAX_DECISIONS] = [200, 100];
const DAY_MS = 86_400_000;

const path = ({ id }) => `/v1/candidates/${id}`;
const isUnused = ({ status, sessionId }) => status === "pending" || (status === "expired" && !sessionId);
// If a blind assessment hides the address, an invitation shows that there is one.
const hasEmail = ({ candidateEmail, invite, blind }) => Boolean(candidateEmail || (blind && invite));

/** Cancel the email that an action queued. */
async function cancelEmail(candidate) {
  const { deliveries } = await api.get(`${path(candidate)}/deliveries`, { query: { limit: 1 } });
  await api.remove(`/v1/deliveries/${deliveries[0].id}`);
}

// accepts -- whether the action is available for the candidate
// send -- makes the change; `form` has the dialog's `days` and `sendEmail`
// undo -- reverts the change
const ACTIONS = {
  resend: {
    accepts: (candidate) => ["pending", "active"].includes(candidate.status) && hasEmail(candidate),
    send: (candidate, form, options) => api.post(`${path(candidate)}/invite`, undefined, options),
    undo: cancelEmail,
  },
  extend: {
    accepts: isUnused,
    send: (candidate, form, options) => {
      const body = { days: Number(form.days), sendEmail: form.sendEmail && hasEmail(candidate) };
      return api.post(`${path(candidate)}/${candidate.status === "pending" ? "extend" : "reopen"}`, body, options);
    },
    undo: async (candidate, form) => {
      if (form.sendEmail && hasEmail(candidate)) await cancelEmail(candidate);
      if (candidate.status === "pending") await api.post(`${path(candidate)}/extend`, { expiresAt: candidate.expiresAt });
    },
  },
  remind: {
    accepts: (candidate) => candidate.status === "pending" && hasEmail(candidate),
    send: (candidate, form, options) => api.post(`${path(candidate)}/remind`, undefined, options),
    undo: cancelEmail,
  },
  revoke: {
    accepts: () => true,
    send: ({ assessmentId, id }, form, options) => api.remove(`/v1/assessments/${assessmentId}/keys/${id}`, options),
  },
};

/** True if the action is available for the candidate. `blind` is its assessment's. */
export const accepts = (name, candidate) => ACTIONS[name].accepts(candidate);

/**
 * Build a bar with the actions on the selected rows, hidden without any. `update(rows)` sets the selection.
 *
 * onDone -- called after each action and each undo
 */
export function selectionBar({ can, me, onDone }) {
  let rows = [];
  const count = h("p", { role: "status" });
  const button = (name, run, max = Infinity) => {
    const start = () => (rows.length > max ? toast(t("decisions.tooMany", { max })) : run());
    return h("button", { type: "button", class: "secondary", onclick: ({ currentTarget }) => runAction(currentTarget, start) }, t(`decisions.actions.${name}`));
  };
  const changes = [
    button("decide", () => decideAll(rows, { me, onDone }), MAX_DECISIONS),
    Object.keys(ACTIONS).map((name) => button(name, () => act(name, rows, { onDone }), MAX_ROWS)),
  ];
  const element = h("div", { class: "selection-bar", role: "group", "aria-label": t("decisions.selection"), hidden: true }, count, can("write") && changes, button("export", () => exportRows(rows)));
  return { element, update };

  function update(selected) {
    rows = selected;
    element.hidden = !rows.length;
    fill(count, t("decisions.selected", { n: rows.length }));
  }
}

/** Confirm an action, and run it for each candidate for whom it is available. `blind` of a row is its assessment's. */
export async function act(name, rows, { onDone }) {
  const action = ACTIONS[name];
  const { loaded, gone } = await loadEach(rows, (row) => loadCandidate(row.candidateId ?? row.id));
  const entries = loaded.map(({ row, ...entry }) => ({ ...entry, candidate: { ...entry.candidate, blind: row.blind }, name: candidateName(entry.candidate, row) }));
  const accepted = entries.filter(({ candidate }) => action.accepts(candidate));
  const leftOut = [...gone, ...entries.filter((entry) => !accepted.includes(entry)).map((entry) => `${entry.name}: ${t(`decisions.unavailable.${name}`)}.`)];
  if (!accepted.length) return toast(leftOut.join(" "));
  const form = { days: 7, sendEmail: true };
  const list = h("ul", { class: "email-list" });
  showList();
  const values = (done) => ({ n: done.length, name: done[0].name });
  await ask({
    title: t(`decisions.${name}.title`, values(accepted)),
    content: [h("p", {}, t(`decisions.${name}.text`)), name === "extend" && extensionFields(), list, leftOut.map((text) => h("p", { class: "quiet" }, text))],
    action: t(`decisions.actions.${name}`),
    danger: name === "revoke",
    save,
  });
  const done = accepted.filter(({ isDone }) => isDone);
  if (!done.length) return;
  // A reopened invitation cannot be expired again. Undo only cancels its email.
  const reopened = done.filter(({ candidate }) => name === "extend" && candidate.status !== "pending");
  const hasUndo = reopened.length < done.length || (form.sendEmail && done.some(({ candidate }) => hasEmail(candidate)));
  // These emails replace one that is still queued, which Undo cannot restore.
  const replaces = name === "resend" || (name === "extend" && form.sendEmail);
  const hasReplaced = replaces && done.some(({ candidate }) => candidate.invite?.state === "queued");
  const canUndo = action.undo && hasUndo && !hasReplaced;
  const limit = canUndo && reopened.length ? ` ${t("decisions.extend.stayOpen", values(reopened))}` : "";
  toast(t(`decisions.${name}.done`, values(done)) + limit, canUndo && { undo: () => undo(done) });
  onDone();

  function extensionFields() {
    const days = h("input", { name: "days", type: "number", class: "short", min: 1, max: 365, required: true, value: form.days, oninput: () => change({ days: days.value }) });
    const email = h("input", { type: "checkbox", checked: true, onchange: () => change({ sendEmail: email.checked }) });
    return [field(t("decisions.extend.days"), days), h("label", { class: "check-line" }, email, h("span", {}, t("decisions.extend.sendEmail")))];
  }

  function change(values) {
    Object.assign(form, values);
    showList();
  }

  function showList() {
    fill(list, accepted.map(({ candidate, name: person }) => h("li", {}, h("strong", {}, person), ` ${name === "extend" ? newExpiry(candidate) : ""}${emailText(candidate)}`)));
  }

  function newExpiry({ status, expiresAt }) {
    const time = (status === "pending" ? Date.parse(expiresAt) : Date.now()) + form.days * DAY_MS;
    return form.days >= 1 && form.days <= 365 ? `${t("decisions.extend.until", { time: formatDateTime(new Date(time).toISOString()) })} ` : "";
  }

  function emailText(candidate) {
    if (name === "revoke" || (name === "extend" && !(form.sendEmail && hasEmail(candidate)))) return t("decisions.noEmail");
    return t(`decisions.${name}.email`, { email: candidate.candidateEmail ?? t("decisions.hiddenEmail") });
  }

  async function save() {
    const failed = [];
    for (const entry of accepted.filter(({ isDone }) => !isDone)) {
      try {
        await action.send(entry.candidate, form, { headers: { "If-Match": entry.etag } });
        entry.isDone = true;
      } catch (error) {
        // Only these concern a single candidate.
        if (![404, 409, 412, 429].includes(error.status) || error.code === "too_many_requests") throw error;
        failed.push(`${entry.name}: ${error.status === 412 ? t("decisions.changedMeanwhile") : describeError(error)[1]}`);
      }
    }
    if (failed.length) throw new api.ApiError(400, { error: t("decisions.leftOut", { n: failed.length, names: failed.join(" ") }) });
  }

  async function undo(done) {
    const results = await Promise.allSettled(done.map(({ candidate }) => action.undo(candidate, form)));
    onDone();
    const failed = done.flatMap(({ name: person }, n) => (results[n].reason ? [`${person}: ${describeError(results[n].reason)[1]}`] : []));
    if (failed.length) throw new api.ApiError(400, { error: t("decisions.notUndone", { n: failed.length, names: failed.join(" ") }) });
  }
}

/** Save the selected rows of each assessment's CSV file. */
async function exportRows(rows) {
  for (const [id, group] of Map.groupBy(rows, ({ assessmentId }) => assessmentId)) {
    const response = await api.request("GET", `/v1/assessments/${id}/results/export`);
    const [header, ...lines] = readCells(await api.read(() => response.text()), ",");
    const ids = new Set(group.map(({ candidateId }) => candidateId));
    const kept = lines.filter(({ cells }) => cells.some((cell) => ids.has(cell)));
    const text = [header, ...kept].map(({ cells }) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")).join("\r\n");
    api.saveAs(new Blob([text], { type: "text/csv" }), "candidates.csv");
  }
}
