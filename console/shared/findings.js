// Short labels for integrity findings. The API's `explanation` contains the details.

import { h } from "./dom.js";
import { has, t } from "./texts.js";

// Findings that clients cannot cause: stored data was altered.
const CHANGED = new Set([
  ...["event_changed", "event_missing", "event_inserted", "seal_broken", "column_changed"],
  ...["metrics_changed", "session_changed", "data_changed"],
]);
/** Label a code: `chain_gap` is "Gap in signatures". Unknown codes stay unchanged. */
export const findingText = (code) => (has(`findings.${code}`) ? t(`findings.${code}`) : code);

/** True if stored data was altered. */
export const isChanged = (codes) => codes.some((code) => CHANGED.has(code));

/** True if a finding questions the session's results: stored data was altered, or model calls are not recorded. */
export const changesResults = (codes) => isChanged(codes) || codes.includes("call_not_recorded");

/** Describe a result's `integrityFindings`. */
export function describeFindings(findings) {
  if (!findings) return h("span", { class: "quiet" }, t("board.notChecked"));
  if (!findings.codes.length) return h("span", { class: "finding none" }, t("board.noFindings"));
  const list = h("ul", { class: "finding-list" }, findings.codes.map((code) => h("li", {}, findingText(code))));
  return isChanged(findings.codes) ? [h("strong", { class: "finding changed" }, t("board.recordingChanged")), list] : list;
}
