// Display names of candidates, also of those whose name a blind assessment hides.

import { t } from "./texts.js";
import { plainName } from "./untrusted.js";

/**
 * Name, address, your own id, key, or the end of the candidate's id, whichever is known first, as `plainName`.
 *
 * candidate -- as in the API: of a list, of the results, or a session
 * blind -- of the assessment: then your own id is left out, since it may say who the candidate is. The API has already
 *   hidden name, address and key
 */
export function candidateName({ candidateName: name, candidateEmail: email, externalId, key, sessionId, candidateId, id }, { blind }) {
  const openKey = sessionId || key?.includes("*") ? null : key;
  return plainName(name ?? email ?? (blind ? null : externalId) ?? openKey ?? t("common.candidate", { id: (candidateId ?? id).slice(-6) }));
}

/** True if a blind assessment hides the candidate's name. */
export const isHidden = ({ candidateName: name, candidateEmail: email }, { blind }) => blind && !name && !email;
