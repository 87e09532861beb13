// The kinds of integrity facts in a few words. The API's `explanation` says more.

import { h } from "./dom.js";
import { t } from "./texts.js";

// Facts that no client causes: somebody or something changed what was stored.
const CHANGED = new Set([
  ...["event_changed", "event_missing", "event_inserted", "tail_truncated", "seal_broken", "column_changed"],
  ...["metrics_changed", "value_malformed", "session_changed", "seal_missing"],
]);
const KNOWN = new Set([
  ...CHANGED,
  ...["seal_key_unknown", "erased", "unsigned_event", "time_far_from_arrival", "duration_too_long", "signature_invalid"],
  ...["chain_gap", "chain_fork", "chain_restart", "signature_repeated", "chain_circle", "clock_jump", "session_full"],
  ...["call_not_recorded", "hooks_missing", "call_not_proxied", "call_from_history", "result_differs", "usage_differs"],
  ...["prompt_not_reported", "hand_in_unreadable", "base_unverified"],
]);

/** `chain_gap` as "Gap between events"; a code of a later version as it is. */
export const factText = (code) => (KNOWN.has(code) ? t(`facts.${code}`) : code);

/** Whether the stored record was changed. */
export const isChanged = (codes) => codes.some((code) => CHANGED.has(code));

/** The `integrityFacts` of a result, in words. */
export function factsInWords(facts) {
  if (!facts) return h("span", { class: "quiet" }, t("board.notChecked"));
  if (!facts.codes.length) return h("span", { class: "fact none" }, t("board.nothingFound"));
  const list = h("ul", { class: "fact-list" }, facts.codes.map((code) => h("li", {}, factText(code))));
  return isChanged(facts.codes) ? [h("strong", { class: "fact changed" }, t("board.changedRecord")), list] : list;
}
