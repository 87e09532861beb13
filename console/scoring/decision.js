// The hiring decision. If it changed since it was loaded, the new decision is shown before it is replaced.

import * as api from "../shared/api.js";
import { ask, field, toastError } from "../shared/dialogs.js";
import { fill, h } from "../shared/dom.js";
import { loadDraft, storeDraft } from "../shared/drafts.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { plain } from "../shared/untrusted.js";

const DECISIONS = ["undecided", "advanced", "rejected", "hired"];

/** Build a panel with the session's hiring decision and a button to change it. */
export function decisionPanel({ session, me, canWrite }) {
  const text = h("p", {});
  const show = (decided) => fill(text, decisionText(decided));
  show(session);
  const change = () => decide(session, me, show).catch(toastError);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("scoring.decision")),
    text,
    canWrite && h("button", { type: "button", class: "secondary", onclick: change }, t("scoring.decide")),
  );
}

/** Describe a hiring decision: reason, person and time. */
export function decisionText({ decision, decisionReason: reason, decidedBy, decidedAt }) {
  const by = decidedAt && [decidedBy?.name, formatDateTime(decidedAt)].filter(Boolean).join(", ");
  return [t(`scoring.decisions.${decision}`), reason && [": ", h("bdi", {}, reason)], by && h("span", { class: "quiet" }, ` ${by}`)];
}

async function decide(session, me, show) {
  let seen = await load(session);
  show(seen.session);
  const draftName = `decision ${session.id}`;
  const draft = loadDraft(me, draftName) ?? { decision: seen.session.decision, reason: "" };
  const store = () => storeDraft(me, draftName, { decision: value.value, reason: reason.value });
  const value = h("select", { name: "decision", oninput: store }, DECISIONS.map((each) => h("option", { value: each, selected: each === draft.decision }, t(`scoring.decisions.${each}`))));
  const reason = h("textarea", { name: "reason", rows: 4, maxlength: 2000, required: true, oninput: store }, draft.reason);
  const put = () => {
    const body = { decision: value.value, reason: reason.value.trim() || null };
    return api.put(`/v1/candidates/${session.candidateId}/decision`, body, { headers: { "If-Match": seen.tag } });
  };
  const save = async () => {
    try {
      await put();
    } catch (error) {
      if (error.code !== "precondition_failed") throw error;
      const before = seen;
      seen = await load(session);
      show(seen.session);
      if (seen.session.decidedAt !== before.session.decidedAt) throw new api.ApiError(error.status, { code: error.code, error: changedText(seen.session) });
      // Only other fields of the candidate have changed.
      await put();
    }
    storeDraft(me, draftName);
    show((await load(session)).session);
  };
  await ask({ title: t("scoring.decide"), content: [field(t("scoring.decision"), value), field(t("scoring.reason"), reason, t("scoring.decisionReason"))], save });
}

function changedText({ decision, decisionReason: reason, decidedBy }) {
  const made = [t(`scoring.decisions.${decision}`), reason].filter(Boolean).join(": ");
  return t("scoring.decisionChanged", { name: decidedBy?.name ?? t("scoring.unknownPerson"), decision: plain(made) });
}

/**
 * Load the session with its hiring decision, and the candidate's ETag, with which the service rejects overwriting a later
 *
 * change. The ETag is read first, so the session is at least as new, and every replaced decision was visible.
 */
async function load({ id, candidateId }) {
  const response = await api.request("GET", `/v1/candidates/${candidateId}`);
  return { session: await api.get(`/v1/sessions/${id}`), tag: response.headers.get("ETag") };
}
