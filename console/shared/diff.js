// Unified diffs by file, with the author of each added line if known.

import { fill, h } from "./dom.js";
import { evidenceButton } from "./evidence.js";
import { formatBytes } from "./numbers.js";
import { t } from "./texts.js";
import { plain, untrusted } from "./untrusted.js";

const FILES_PER_STEP = 200;
const INITIAL_LINES = 300;
const LINES_PER_STEP = 1_000;
const MAX_OPEN_LINES = 150;
const MAX_LINE_CHARACTERS = 2_000;
const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;
const SIGNS = { added: "+", removed: "−", same: " ", hunk: "" };

/**
 * Build a final diff, with a collapsible section per file.
 *
 * files -- from `GET /v1/sessions/{id}/final-diff`, with `path`, `oldPath`, `status`, `linesAdded`, `linesRemoved`,
 *   `diff`, `notRecordedRanges`, `isBinary`, `isTruncated`, `isTooLarge`, `size`
 * attributed -- true if `notRecordedRanges` are known: added lines then show their author
 * open -- true expands short files
 * report -- the report whose `onEvidence` receives lines
 */
export function diffView(files, { attributed = true, open = true, report = {} } = {}) {
  let remaining = open ? MAX_OPEN_LINES * 4 : 0;
  const view = (file) => {
    const count = file.linesAdded + file.linesRemoved;
    const isOpen = count <= MAX_OPEN_LINES && count <= remaining;
    if (isOpen) remaining -= count;
    return fileView(file, { attributed, report }, isOpen);
  };
  const list = h("div", { class: "diffs" }, attributed && files.length > 0 && legend(), report.onEvidence && h("p", { class: "quiet" }, t("report.diff.evidenceHint")));
  const showFiles = (batch) => {
    const views = batch.map(view);
    list.append(...views);
    return views[0]?.querySelector("summary");
  };
  return h("div", {}, list, showInSteps(files, [FILES_PER_STEP, FILES_PER_STEP], "report.diff.moreFiles", showFiles));
}

/**
 * Build several sessions' diffs next to each other.
 *
 * sides -- `[{name, files, attributed}]`
 * sharesTask -- true aligns them by file, and opens the diffs of a file together
 */
export function alignedDiffs(sides, { sharesTask }) {
  const most = Math.max(...sides.map(({ files }) => files.length));
  const sideBySide = Array.from({ length: most }, (item, n) => ({ files: sides.map(({ files }) => files[n]) }));
  const rows = sharesTask ? byFile(sides) : sideBySide;
  const cell = (file, path, { name, attributed }) => {
    if (file) return h("div", { "data-name": name }, fileView(file, { attributed, report: {} }, false));
    return path ? h("div", { "data-name": name }, h("p", { class: "quiet" }, untrusted(path), t("compare.unchanged"))) : h("div", {});
  };
  const openAll = ({ target, currentTarget }) => {
    for (const details of currentTarget.querySelectorAll(".diff")) details.open = target.open;
  };
  const line = ({ path, files }) => {
    const element = h("div", { class: "compare-columns" }, sides.map((side, n) => cell(files[n], path, side)));
    if (sharesTask) element.addEventListener("toggle", openAll, true); // `toggle` does not bubble
    return element;
  };
  const list = h("div", { class: "diffs" }, sides.some(({ attributed }) => attributed) && legend());
  const showFiles = (batch) => {
    const lines = batch.map(line);
    list.append(...lines);
    return lines[0]?.querySelector("summary");
  };
  return h("div", {}, list, showInSteps(rows, [FILES_PER_STEP, FILES_PER_STEP], "report.diff.moreFiles", showFiles));
}

/** Return `{path, files}` for each file that any side changed; `files` is by side, undefined for an unchanged one. */
function byFile(sides) {
  const byPath = sides.map(({ files }) => new Map(files.map((file) => [file.path, file])));
  const paths = [...new Set(byPath.flatMap((files) => [...files.keys()]))].sort();
  return paths.map((path) => ({ path, files: byPath.map((files) => files.get(path)) }));
}

/**
 * Show the first items. Returns a button that shows more, or false if there are no more.
 *
 * initialCount, stepCount -- the number of items to show first, and per click
 * label -- path of the button's text
 * show -- adds items to the page, and returns the node to focus
 */
function showInSteps(items, [initialCount, stepCount], label, show) {
  let at = 0;
  const button = h("button", { type: "button", class: "secondary", onclick: () => next(stepCount).focus() });
  next(initialCount);
  return at < items.length && button;

  function next(count) {
    const focusTarget = show(items.slice(at, at + count));
    at += count;
    const remaining = items.length - at;
    if (remaining > 0) fill(button, t(label, { n: Math.min(remaining, stepCount) }));
    else button.remove();
    return focusTarget;
  }
}

function legend() {
  return h("p", { class: "quiet" }, t("report.diff.legend"));
}

function fileView(file, { attributed, report }, isOpen) {
  const body = h("div", { class: "diff-body" });
  const name =
    file.oldPath && file.oldPath !== file.path
      ? [untrusted(file.oldPath), " → ", untrusted(file.path)]
      : untrusted(file.path);
  const counts = [
    h("span", { class: "added" }, `+${file.linesAdded}`),
    " ",
    h("span", { class: "removed" }, `−${file.linesRemoved}`),
  ];
  const unrecorded = attributed && file.linesAdded > 0 && unrecordedCount(file);
  const summary = h(
    "summary",
    {},
    h("code", { class: "diff-path" }, name),
    h(
      "span",
      { class: "diff-counts" },
      h("span", {}, t(`report.diff.${file.status}`)),
      h("span", {}, counts),
      unrecorded && h("span", { class: "not-recorded-lines" }, unrecorded),
    ),
  );
  const details = h("details", { class: "diff", "data-path": file.path, open: isOpen }, summary, body);
  const render = () => body.firstChild || fill(body, fileBody(file, attributed, report));
  if (isOpen) render();
  details.addEventListener("toggle", () => details.open && render());
  return details;
}

function unrecordedCount({ notRecordedRanges }) {
  const lines = notRecordedRanges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return lines > 0 && t("report.diff.linesNotRecorded", { n: lines });
}

function fileBody(file, attributed, report) {
  if (file.isTooLarge) return h("p", { class: "quiet" }, tooLargeText(file));
  if (file.isBinary) return h("p", { class: "quiet" }, t("report.diff.binary"));
  if (!file.diff) return h("p", { class: "quiet" }, t("report.diff.noLines"));
  const author = attributed ? authorByLine(file.notRecordedRanges) : null;
  const table = linesTable([], { caption: file.path, author });
  const region = h(
    "div",
    {
      class: "scroll",
      tabindex: "0",
      onkeydown: moveToLine,
      role: "region",
      "aria-label": t("report.diff.label", { path: plain(file.path) }),
    },
    table,
  );
  const showLines = (lines) => {
    table.tBodies[0].append(...lines.map((line) => row(line, author, report.onEvidence && lineButton)));
    return region;
  };
  // The arrow keys move between the lines' buttons, so that Tab reaches the next file.
  function lineButton({ old, new: number }) {
    const line = number ?? -old;
    return evidenceButton(report, `diff:${file.path}:${line}`, `${file.path}:${line}`, { tabindex: "-1" });
  }
  return [
    region,
    showInSteps(parseDiff(file.diff), [INITIAL_LINES, LINES_PER_STEP], "report.diff.more", showLines),
    file.isTruncated && h("p", { class: "quiet" }, t("report.diff.truncated")),
  ];
}

const tooLargeText = ({ size }) => (size === null ? t("report.diff.tooLargeUnknown") : t("report.diff.tooLarge", { size: formatBytes(size) }));

/** Build a table of `parseDiff`'s lines. `author(number)` is `agent` or `notRecorded`. */
export function linesTable(lines, { caption = null, author = null } = {}) {
  const title = caption && h("caption", { class: "visually-hidden" }, untrusted(caption));
  return h(
    "table",
    {},
    title,
    head(Boolean(author)),
    h(
      "tbody",
      {},
      lines.map((line) => row(line, author)),
    ),
  );
}

function head(attributed) {
  const names = ["old", "new", "sign", attributed && "author", "text"].filter(Boolean);
  return h(
    "thead",
    { class: "visually-hidden" },
    h(
      "tr",
      {},
      names.map((name) => h("th", { scope: "col" }, t(`report.diff.columns.${name}`))),
    ),
  );
}

/** Move the focus between the lines' buttons with the up and down keys. */
function moveToLine(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const buttons = [...event.currentTarget.querySelectorAll("tr > .sign button")];
  if (!step || !buttons.length) return;
  event.preventDefault();
  const at = buttons.indexOf(document.activeElement);
  buttons[Math.max(0, Math.min(buttons.length - 1, at + step))].focus();
}

function row(line, author, button) {
  const { kind, old, new: number, text } = line;
  const truncated = text.length > MAX_LINE_CHARACTERS ? `${text.slice(0, MAX_LINE_CHARACTERS)} …` : text;
  const lineAuthor = author && kind === "added" && text.trim() ? author(number) : null;
  return h(
    "tr",
    { class: [kind, lineAuthor === "notRecorded" && "not-recorded"].filter(Boolean).join(" ") },
    h("td", { class: "number" }, old),
    h("td", { class: "number" }, number),
    h("td", { class: "sign" }, SIGNS[kind], kind !== "hunk" && button?.(line)),
    author && h("td", { class: "author" }, lineAuthor && t(`report.diff.${lineAuthor}`)),
    h("td", { class: "text" }, untrusted(truncated, { lines: true })),
  );
}

/** Return a function from an added line's number to `agent` if a recorded agent change added it, or `notRecorded`. */
function authorByLine(ranges) {
  return (number) => (ranges.some(([first, last]) => first <= number && number <= last) ? "notRecorded" : "agent");
}

/** Parse a unified diff into lines: `{kind, old, new, text}`. */
export function parseDiff(diff) {
  const lines = [];
  let old = null;
  let next = null;
  for (const line of diff.replace(/\n$/, "").split("\n")) {
    const hunk = HUNK.exec(line);
    if (hunk) {
      [old, next] = [Number(hunk[1]), Number(hunk[2])];
      lines.push({ kind: "hunk", text: line });
    } else if (old === null || line.startsWith("\\")) continue;
    else if (line.startsWith("+")) lines.push({ kind: "added", new: next++, text: line.slice(1) });
    else if (line.startsWith("-")) lines.push({ kind: "removed", old: old++, text: line.slice(1) });
    else lines.push({ kind: "same", old: old++, new: next++, text: line.slice(1) });
  }
  return lines;
}

/** Split `git diff` output into files. */
export function splitDiff(diff) {
  const parts = diff.split(/^(?=diff --git )/m).filter((part) => part.trim());
  return parts.map((part) => {
    const lines = parseDiff(part);
    const firstGroup = (pattern) => pattern.exec(part)?.[1];
    const oldPath = firstGroup(/^--- (?:a\/)?(.*)$/m);
    const newPath = firstGroup(/^\+\+\+ (?:b\/)?(.*)$/m);
    const isAdded = /^new file mode/m.test(part);
    const isDeleted = /^deleted file mode/m.test(part);
    const path = (isDeleted ? oldPath : newPath) ?? firstGroup(/^diff --git a\/.* b\/(.*)$/m) ?? t("report.diff.unnamed");
    const isRenamed = /^rename from /m.test(part);
    return {
      path,
      oldPath: isRenamed ? firstGroup(/^rename from (.*)$/m) : null,
      status: isAdded ? "added" : isDeleted ? "deleted" : isRenamed ? "renamed" : "modified",
      isBinary: /^(Binary files|GIT binary patch)/m.test(part),
      isTruncated: false,
      isTooLarge: false,
      linesAdded: lines.filter(({ kind }) => kind === "added").length,
      linesRemoved: lines.filter(({ kind }) => kind === "removed").length,
      diff: lines.length ? part : null,
      notRecordedRanges: [],
    };
  });
}
