// How candidates are named, also those whose name a blind assessment hides.

import { t } from "./texts.js";
import { plainName } from "./untrusted.js";

/** Name, or address, or the end of the id for a candidate whose name is hidden or unknown. */
export function candidateName({ candidateName: name, candidateEmail: email, candidateId, id }) {
  return plainName(name ?? email ?? t("common.candidate", { id: (candidateId ?? id).slice(-4) }));
}
