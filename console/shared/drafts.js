// Unsaved input: leaving the page or signing in again does not lose it. It stays in this tab.

import { callerId } from "./api.js";

/** The signed-in person's draft of that name, or null. */
export function draftOf(me, name) {
  return JSON.parse(sessionStorage.getItem(keyOf(me, name)));
}

/** Without a draft, nothing stays stored. */
export function storeDraft(me, name, draft = null) {
  if (draft) sessionStorage.setItem(keyOf(me, name), JSON.stringify(draft));
  else sessionStorage.removeItem(keyOf(me, name));
}

export function deleteDrafts() {
  sessionStorage.clear();
}

const keyOf = (me, name) => `proofstone-draft ${me.orgId} ${callerId(me)} ${name}`;
