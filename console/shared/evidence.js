// Add a place in a session as evidence for a score.

import { h } from "./dom.js";
import { kindName } from "./events.js";
import { t } from "./texts.js";
import { formatClock } from "./time.js";
import { plain } from "./untrusted.js";

const MAX_SUMMARY_CHARACTERS = 80;

/**
 * Build a button that adds evidence, or null without `report.onEvidence`, which is missing if the caller cannot score.
 *
 * reference -- an event's id, `diff:<path>:<line>`, `diff:<path>:-<line of the old file>` or `test:<name>`
 */
export function evidenceButton({ onEvidence }, reference, label, attributes = {}) {
  if (!onEvidence) return null;
  const text = t("report.addEvidence", { label: plain(label) });
  const onclick = (event) => {
    event.stopPropagation();
    onEvidence(reference, label);
  };
  return h("button", { type: "button", class: "add-evidence", "aria-label": text, title: text, onclick, ...attributes }, "+");
}

/** Describe an event in a few words: `11:00:40 Command: pytest -q`. */
export const eventLabel = ({ ts, kind, summary }) => `${formatClock(ts, { seconds: true })} ${kindName(kind)}: ${summary.slice(0, MAX_SUMMARY_CHARACTERS)}`;
