// Render Markdown as formatted text: paragraphs, headings, lists, code and bold. Everything else stays as it is.

import { h } from "./dom.js";
import { untrusted } from "./untrusted.js";

// Each code span or bold word becomes an element; too many would block the page.
const MAX_CHARACTERS = 50_000;
// Limited, so that a hostile text cannot slow down the search.
const INLINE = /(?<!`)(`+)(?!`)(.{1,1000}?)(?<!`)\1(?!`)|\*\*(?=\S)(.{1,300}?)(?<=\S)\*\*/gs;
const FENCE = /^\s*(```+|~~~+)/;
const HEADING = /^#{1,6}\s+(.+)$/s;
const MAX_INDENT = 12;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/s;

/** Build nodes for untrusted Markdown. */
export function markdown(text) {
  if (text.length > MAX_CHARACTERS) return untrusted(text, { lines: true });
  const lines = text.split("\n");
  const blocks = [];
  for (let n = 0; n < lines.length; ) {
    const [block, next] = readBlock(lines, n);
    if (block) blocks.push(block);
    n = next;
  }
  return blocks;
}

/** Read the block that starts at a line. Returns its element, or null for an empty line, and the next block's line. */
function readBlock(lines, start) {
  const [fence] = FENCE.exec(lines[start])?.slice(1) ?? [];
  if (fence) {
    const end = endOf(lines, start + 1, (line) => !line.trim().startsWith(fence));
    return [h("pre", { class: "md-code", tabindex: "0" }, untrusted(lines.slice(start + 1, end).join("\n"), { lines: true })), end + 1];
  }
  if (!lines[start].trim()) return [null, start + 1];
  const heading = HEADING.exec(lines[start]);
  if (heading) return [h("p", {}, h("strong", {}, inline(heading[1]))), start + 1];
  if (ITEM.test(lines[start])) return readList(lines, start);
  const end = endOf(lines, start + 1, (line) => line.trim() && !FENCE.test(line) && !HEADING.test(line) && !ITEM.test(line));
  return [h("p", {}, inline(lines.slice(start, end).join("\n"))), end];
}

/** Read a list. An item keeps its indentation and number. */
function readList(lines, start) {
  const items = [];
  let n = start;
  for (let item = ITEM.exec(lines[n]); item; item = ITEM.exec(lines[n] ?? "")) {
    const end = endOf(lines, n + 1, (line) => /^\s+\S/.test(line) && !ITEM.test(line) && !FENCE.test(line));
    const text = [item[3], ...lines.slice(n + 1, end).map((line) => line.trim())].join("\n");
    items.push(h("li", {}, h("span", {}, item[1].slice(0, MAX_INDENT), item[2] ? `${item[2]}.` : "•"), h("span", {}, inline(text))));
    n = end;
  }
  return [h("ul", { class: "md-list" }, items), n];
}

function endOf(lines, start, belongs) {
  let end = start;
  while (end < lines.length && belongs(lines[end])) end += 1;
  return end;
}

/** Build nodes for text with code spans and bold words. */
function inline(text) {
  const nodes = [];
  let start = 0;
  for (const { 0: all, 2: code, 3: bold, index } of text.matchAll(INLINE)) {
    nodes.push(untrusted(text.slice(start, index), { lines: true }));
    nodes.push(code === undefined ? h("strong", {}, untrusted(bold, { lines: true })) : h("code", {}, untrusted(code)));
    start = index + all.length;
  }
  return [...nodes, untrusted(text.slice(start), { lines: true })];
}
