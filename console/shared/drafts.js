// Unsaved input, stored in this tab. It survives leaving the page and signing in again.

import { callerId } from "./api.js";

/** The signed-in person's draft with this name, or null. */
export function loadDraft(me, name) {
  return JSON.parse(sessionStorage.getItem(keyOf(me, name)));
}

/** Store a draft, or delete it if it is null. */
export function storeDraft(me, name, draft = null) {
  if (draft) sessionStorage.setItem(keyOf(me, name), JSON.stringify(draft));
  else sessionStorage.removeItem(keyOf(me, name));
}

export function deleteDrafts() {
  sessionStorage.clear();
}

const keyOf = (me, name) => `proofstone-draft ${me.orgId} ${callerId(me)} ${name}`;
