// Evidence for a score: an event's id, `diff:<path>:<line>` (`-<line>` in the old file), or `test:<name>`.

import { kindName } from "../shared/events.js";
import { testName } from "../shared/tests.js";
import { formatClock } from "../shared/time.js";
import { plain } from "../shared/untrusted.js";

const TABS = { diff: "changes", test: "tests" };
const PREFIX = /^(diff|test):/;
const LINE = /^diff:(.+):(-?)(\d+)$/s;
const MAX_CHARACTERS = 80;

/** Return the name of the report's tab that shows the evidence. */
export const evidenceTab = (reference) => TABS[PREFIX.exec(reference)?.[1]] ?? "timeline";

/** Describe evidence: `src/app.py:12`, a test's name, an event's time, kind and summary, or an unknown event's id. */
export function evidenceLabel(reference, event) {
  if (PREFIX.test(reference)) return plain(reference.replace(PREFIX, ""));
  return plain(event ? `${formatClock(event.ts)} ${kindName(event.kind)}: ${shorten(event.summary)}` : reference);
}

const shorten = (text) => (text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS).trimEnd()} …` : text);

/** Move the focus to a line or test in its loaded tab. Returns false if the tab does not show it. */
export async function focusPlace(panel, reference) {
  const place = LINE.test(reference) ? await findLine(panel, reference) : findTest(panel, reference);
  if (!place) return false;
  place.tabIndex = -1;
  place.focus();
  place.scrollIntoView({ block: "center" });
  return true;
}

function findTest(panel, reference) {
  const name = testName(reference.replace(PREFIX, "")).textContent;
  return [...panel.querySelectorAll("th code")].find((code) => code.textContent === name)?.closest("tr");
}

async function findLine(panel, reference) {
  const [, path, old, line] = LINE.exec(reference);
  const file = [...panel.querySelectorAll("details.diff")].find((each) => each.dataset.path === path);
  if (!file) return null;
  if (!file.open) {
    // The file's lines are loaded when it is opened.
    const opened = new Promise((resolve) => file.addEventListener("toggle", resolve, { once: true }));
    file.open = true;
    await opened;
  }
  const find = () => [...file.querySelectorAll("tbody tr")].find((row) => row.cells[old ? 0 : 1].textContent === line);
  for (let more; !find() && (more = file.querySelector(".diff-body > button")); ) more.click();
  return find();
}
