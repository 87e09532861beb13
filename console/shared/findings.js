// Short labels for integrity findings. The API's `explanation` contains the details.

import { fill, h } from "./dom.js";
import { has, t } from "./texts.js";

// Findings that clients cannot cause: stored data was altered. The first also concern what does not depend on events.
const STORED = new Set(["seal_broken", "session_changed", "data_changed"]);
const CHANGED = new Set([...STORED, "event_changed", "event_missing", "event_inserted", "column_changed", "metrics_changed"]);

/** Label a code: `chain_gap` is "Gap in signatures". Unknown codes stay unchanged. */
export const findingText = (code) => (has(`findings.${code}`) ? t(`findings.${code}`) : code);

/** True if stored data was altered. */
export const isChanged = (codes) => codes.some((code) => CHANGED.has(code));

/** True if a finding questions the session's results: stored data was altered, or model calls are not recorded. */
export const changesResults = (codes) => isChanged(codes) || codes.includes("call_not_recorded");

/** Build a mark for a fact that the findings question, or null. `isStored`: the fact does not depend on recorded events. */
export function recordingMark(codes, isStored = false) {
  if (isStored ? !codes.some((code) => STORED.has(code)) : !changesResults(codes)) return null;
  return h("strong", { class: "finding changed" }, t(`report.marks.${isChanged(codes) ? "changed" : "incomplete"}`));
}

/** Build a `recordingMark` that appears once `load`, which returns the response of `GET …/integrity`, is done. */
export function loadMark(load, isStored) {
  const place = h("span", {});
  load().then(({ findings }) => fill(place, " ", recordingMark(findings.map(({ code }) => code), isStored))).catch(() => {});
  return place;
}

/** Describe a result's `integrityFindings`. */
export function describeFindings(findings) {
  if (!findings) return h("span", { class: "quiet" }, t("board.notChecked"));
  if (!findings.codes.length) return h("span", { class: "finding none" }, t("board.noFindings"));
  const list = h("ul", { class: "finding-list" }, findings.codes.map((code) => h("li", {}, findingText(code))));
  return isChanged(findings.codes) ? [h("strong", { class: "finding changed" }, t("board.recordingChanged")), list] : list;
}
