// The kinds of integrity facts in a few words. The API's `explanation` says more.

import { h } from "./dom.js";
import { has, t } from "./texts.js";

// Facts that no client causes: somebody or something changed what was stored.
const CHANGED = new Set([
  ...["event_changed", "event_missing", "event_inserted", "tail_truncated", "seal_broken", "column_changed"],
  ...["metrics_changed", "value_malformed", "session_changed"],
]);
/** `chain_gap` as "Gap in the signatures"; a code of a later version as it is. */
export const factText = (code) => (has(`facts.${code}`) ? t(`facts.${code}`) : code);

/** Whether the stored record was changed. */
export const isChanged = (codes) => codes.some((code) => CHANGED.has(code));

/** The `integrityFindings` of a result, in words. */
export function factsInWords(facts) {
  if (!facts) return h("span", { class: "quiet" }, t("board.notChecked"));
  if (!facts.codes.length) return h("span", { class: "fact none" }, t("board.nothingFound"));
  const list = h("ul", { class: "fact-list" }, facts.codes.map((code) => h("li", {}, factText(code))));
  return isChanged(facts.codes) ? [h("strong", { class: "fact changed" }, t("board.changedRecord")), list] : list;
}
