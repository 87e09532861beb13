// Unified diffs by file, with who added each line.

import { fill, h } from "./dom.js";
import { t } from "./texts.js";
import { plain, untrusted } from "./untrusted.js";

const MAX_LINES_AT_FIRST = 300;
const MAX_OPEN_LINES = 150;
const MAX_LINE_CHARACTERS = 2_000;
const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;
const SIGNS = { added: "+", removed: "−", same: " ", hunk: "" };

/**
 * The files of a final diff, each as a section that can be folded.
 *
 * files -- as `GET /v1/sessions/{id}/final-diff` lists them: `path`, `oldPath`, `status`, `linesAdded`, `linesRemoved`,
 *   `diff`, `manualRanges`, `isBinary`, `isTruncated`
 * attributed -- whether `manualRanges` are known, so that each added line says who wrote it
 * open -- whether short files are unfolded
 * whole -- unfold every file, and show all lines, as for paper
 */
export function diffView(files, { attributed = true, open = true, whole = false } = {}) {
  let remaining = open ? MAX_OPEN_LINES * 4 : 0;
  const views = files.map((file) => {
    const count = file.linesAdded + file.linesRemoved;
    const isOpen = whole || (count <= MAX_OPEN_LINES && count <= remaining);
    if (isOpen) remaining -= count;
    return fileView(file, attributed, isOpen, whole ? Infinity : MAX_LINES_AT_FIRST);
  });
  return h("div", { class: "diffs" }, attributed && files.length > 0 && legend(), views);
}

/** What the marks mean. */
function legend() {
  return h("p", { class: "quiet" }, t("report.diff.legend"));
}

function fileView(file, attributed, isOpen, atFirst) {
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
  const manual = attributed && file.linesAdded > 0 && manualCount(file);
  const summary = h(
    "summary",
    {},
    h("code", { class: "diff-path" }, name),
    h(
      "span",
      { class: "diff-facts" },
      h("span", {}, t(`report.diff.${file.status}`)),
      h("span", {}, counts),
      manual && h("span", { class: "by-hand" }, manual),
    ),
  );
  const details = h("details", { class: "diff", open: isOpen }, summary, body);
  const render = () => body.firstChild || fill(body, fileBody(file, attributed, atFirst));
  if (isOpen) render();
  details.addEventListener("toggle", () => details.open && render());
  return details;
}

function manualCount({ manualRanges }) {
  const lines = manualRanges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return lines > 0 && t("report.diff.manualLines", { n: lines });
}

function fileBody(file, attributed, atFirst) {
  if (file.isBinary) return h("p", { class: "quiet" }, t("report.diff.binary"));
  if (!file.diff) return h("p", { class: "quiet" }, t("report.diff.noLines"));
  const lines = parseDiff(file.diff);
  const author = attributed ? authorOf(file.manualRanges) : null;
  const table = linesTable(lines.slice(0, atFirst), { caption: file.path, author });
  const rest = lines.slice(atFirst);
  const more = h("button", { type: "button", class: "secondary" }, t("report.diff.more", { n: rest.length }));
  more.addEventListener("click", () => {
    table.tBodies[0].append(...rest.map((line) => row(line, author)));
    more.remove();
    table.parentElement.focus();
  });
  return [
    h(
      "div",
      {
        class: "scroll",
        tabindex: "0",
        role: "region",
        "aria-label": t("report.diff.label", { path: plain(file.path) }),
      },
      table,
    ),
    rest.length > 0 && more,
    file.isTruncated && h("p", { class: "quiet" }, t("report.diff.truncated")),
  ];
}

/** The lines of `parseDiff` as a table. `author(number)` says who added a line: `hand` or `agent`. */
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

function row({ kind, old, new: number, text }, author) {
  const cut = text.length > MAX_LINE_CHARACTERS ? `${text.slice(0, MAX_LINE_CHARACTERS)} …` : text;
  const who = author && kind === "added" && text.trim() ? author(number) : null;
  return h(
    "tr",
    { class: [kind, who === "hand" && "hand"].filter(Boolean).join(" ") },
    h("td", { class: "number" }, old),
    h("td", { class: "number" }, number),
    h("td", { class: "sign" }, SIGNS[kind]),
    author && h("td", { class: "author" }, who && t(`report.diff.${who}`)),
    h("td", { class: "text" }, untrusted(cut, { lines: true })),
  );
}

/** Whether a line was added by `hand` or by an `agent`. */
function authorOf(ranges) {
  return (number) => (ranges.some(([first, last]) => first <= number && number <= last) ? "hand" : "agent");
}

/** The lines of a unified diff: `{kind, old, new, text}`. */
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

/** The files of a whole diff as `git diff` writes it, without who added each line. */
export function splitDiff(diff) {
  const parts = diff.split(/^(?=diff --git )/m).filter((part) => part.trim());
  return parts.map((part) => {
    const lines = parseDiff(part);
    const named = (pattern) => pattern.exec(part)?.[1];
    const oldPath = named(/^--- (?:a\/)?(.*)$/m);
    const newPath = named(/^\+\+\+ (?:b\/)?(.*)$/m);
    const isAdded = /^new file mode/m.test(part);
    const isDeleted = /^deleted file mode/m.test(part);
    const path = (isDeleted ? oldPath : newPath) ?? named(/^diff --git a\/.* b\/(.*)$/m) ?? t("report.diff.unnamed");
    const isRenamed = /^rename from /m.test(part);
    return {
      path,
      oldPath: isRenamed ? named(/^rename from (.*)$/m) : null,
      status: isAdded ? "added" : isDeleted ? "deleted" : isRenamed ? "renamed" : "modified",
      isBinary: /^(Binary files|GIT binary patch)/m.test(part),
      isTruncated: false,
      linesAdded: lines.filter(({ kind }) => kind === "added").length,
      linesRemoved: lines.filter(({ kind }) => kind === "removed").length,
      diff: lines.length ? part : null,
      manualRanges: [],
    };
  });
}
