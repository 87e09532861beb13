// The hiring decision. If someone else changed it, the change is shown before it can be replaced.

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
  const show = (current) => fill(text, decisionText(current));
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

/** Describe a hiring decision with its reason, person and time. */
export function decisionText({ decision, decisionReason: reason, decidedBy, decidedAt }) {
  const by = decidedAt && [decidedBy?.name, formatDateTime(decidedAt)].filter(Boolean).join(", ");
  return [t(`scoring.decisions.${decision}`), reason && [": ", h("bdi", {}, reason)], by && h("span", { class: "quiet" }, ` ${by}`)];
}

async function decide(session, me, show) {
  let loaded = await load(session);
  show(loaded.session);
  const draftName = `decision ${session.id}`;
  const draft = loadDraft(me, draftName) ?? { decision: loaded.session.decision, reason: "" };
  const store = () => storeDraft(me, draftName, { decision: value.value, reason: reason.value });
  const value = h("select", { name: "decision", oninput: store }, DECISIONS.map((name) => h("option", { value: name, selected: name === draft.decision }, t(`scoring.decisions.${name}`))));
  const reason = h("textarea", { name: "reason", rows: 4, maxlength: 2000, required: true, oninput: store }, draft.reason);
  const put = () => {
    const body = { decision: value.value, reason: reason.value.trim() || null };
    return api.put(`/v1/candidates/${session.candidateId}/decision`, body, { headers: { "If-Match": loaded.etag } });
  };
  const save = async () => {
    try {
      await put();
    } catch (error) {
      if (error.code !== "precondition_failed") throw error;
      const before = loaded;
      loaded = await load(session);
      show(loaded.session);
      if (loaded.session.decidedAt !== before.session.decidedAt) throw new api.ApiError(error.status, { code: error.code, error: changedText(loaded.session) });
      // Other fields of the candidate changed, but not the decision.
      await put();
    }
    storeDraft(me, draftName);
    show((await load(session)).session);
  };
  await ask({ title: t("scoring.decide"), content: [field(t("scoring.decision"), value), field(t("scoring.reason"), reason, t("scoring.decisionReason"))], save });
}

function changedText({ decision, decisionReason: reason, decidedBy }) {
  const text = [t(`scoring.decisions.${decision}`), reason].filter(Boolean).join(": ");
  return t("scoring.decisionChanged", { name: decidedBy?.name ?? t("scoring.unknownPerson"), decision: plain(text) });
}

/**
 * Load the session with its hiring decision, and the candidate's ETag, which prevents overwriting a later change. The ETag
 * is loaded first: the session is then at least as new, so the user has seen every decision that is replaced.
 */
async function load({ id, candidateId }) {
  const response = await api.request("GET", `/v1/candidates/${candidateId}`);
  return { session: await api.get(`/v1/sessions/${id}`), etag: response.headers.get("ETag") };
}
