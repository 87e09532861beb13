// Add a place in a session as evidence for a score.

import { h } from "./dom.js";
import { t } from "./texts.js";
import { plain } from "./untrusted.js";

const MAX_LABEL_CHARACTERS = 80;

/**
 * Build a button that adds evidence, or null without `report.onEvidence`, which is missing if the caller cannot score.
 *
 * reference -- an event's id, `diff:<path>:<line>`, `diff:<path>:-<line of the old file>` or `test:<name>`
 */
export function evidenceButton({ onEvidence }, reference, label, attributes = {}) {
  if (!onEvidence) return null;
  const text = t("report.addEvidence", { label: plain(label.slice(0, MAX_LABEL_CHARACTERS)) });
  const onclick = () => onEvidence(reference, label);
  return h("button", { type: "button", class: "add-evidence", "aria-label": text, title: text, onclick, ...attributes }, "+");
}
