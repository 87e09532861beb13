// Candidates' display names, including names that a blind assessment hides.

import { t } from "./texts.js";
import { plainName } from "./untrusted.js";

/**
 * Return a candidate's name, or the first known of email address, external id, key, and the end of the id. Escaped by
 * `plainName`.
 *
 * candidate -- a candidate, result or session from the API
 * blind -- true if the assessment is blind: omits the external id, which can identify the candidate. The API already
 *   hides name, email address and key
 */
export function candidateName({ candidateName: name, candidateEmail: email, externalId, key, sessionId, candidateId, id }, { blind }) {
  const openKey = sessionId || key?.includes("*") ? null : key;
  return plainName(name ?? email ?? (blind ? null : externalId) ?? openKey ?? t("common.candidate", { id: (candidateId ?? id).slice(-6) }));
}

/** A session's or result's status without the hiring decision. */
export const workStatus = ({ status, completedAt }) => (status === "hired" ? (completedAt ? "completed" : "expired") : status);

/** True if a blind assessment hides the candidate's name. */
export const isHidden = ({ candidateName: name, candidateEmail: email }, { blind }) => blind && !name && !email;
