// Drafts of unsaved input, stored per tab. They survive leaving the page and signing in again.

import { callerId } from "./api.js";

/** Load the caller's draft with this name, or null. */
export function loadDraft(me, name) {
  return JSON.parse(sessionStorage.getItem(storageKey(me, name)));
}

/** Store a draft, or delete it if it is null. */
export function storeDraft(me, name, draft = null) {
  if (draft) sessionStorage.setItem(storageKey(me, name), JSON.stringify(draft));
  else sessionStorage.removeItem(storageKey(me, name));
}

export function deleteDrafts() {
  sessionStorage.clear();
}

const storageKey = (me, name) => `proofstone-draft ${me.orgId} ${callerId(me)} ${name}`;
