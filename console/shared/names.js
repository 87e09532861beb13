// Candidates' display names, including names that a blind assessment hides.

import { t } from "./texts.js";
import { plainName } from "./untrusted.js";

/**
 * The first known of name, address, external id, key, or the end of the candidate's id, as `plainName`.
 *
 * candidate -- an API object: a candidate, a result or a session
 * blind -- whether the assessment is blind: omits the external id, which can identify the candidate. The API has already
 *   hidden name, address and key
 */
export function candidateName({ candidateName: name, candidateEmail: email, externalId, key, sessionId, candidateId, id }, { blind }) {
  const openKey = sessionId || key?.includes("*") ? null : key;
  return plainName(name ?? email ?? (blind ? null : externalId) ?? openKey ?? t("common.candidate", { id: (candidateId ?? id).slice(-6) }));
}

/** True if a blind assessment hides the candidate's name. */
export const isHidden = ({ candidateName: name, candidateEmail: email }, { blind }) => blind && !name && !email;
