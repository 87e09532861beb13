// Render untrusted text. Characters that are invisible or change the surrounding text appear by name.

import { fill, h } from "./dom.js";
import { t } from "./texts.js";

// More stacked combining marks than any language uses. They would reach into other lines.
const STACKED = /(?<=\p{M}{5})\p{M}/u;
// Control, format, filler and tag characters, lone surrogates, and line and paragraph separators.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const HIDDEN = new RegExp(`${INVISIBLE.source}|${STACKED.source}`, "u");
const ALL_HIDDEN = new RegExp(HIDDEN, "gu");
// A joiner within an emoji affects only the emoji.
const IN_EMOJI = /^[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;
// Characters that change the surrounding text. Names can contain other hidden characters, such as joiners.
const UNSAFE_IN_NAME = new RegExp(`[\\u202a-\\u202e\\u2066-\\u2069]|${STACKED.source}`, "gu");
const JOINER = "\u200d";
const MAX_CHARACTERS = 3_000;
// Each character becomes an element; too many would block the page for minutes.
const MAX_ELEMENTS = 20;

/**
 * Build a node for untrusted text. The text cannot reorder its surroundings, be invisible, or move the cursor.
 *
 * lines -- true keeps line breaks and tabs, for a `pre`
 */
export function untrusted(text, { lines = false } = {}) {
  return h("bdi", { class: "untrusted" }, markHidden(String(text ?? ""), lines));
}

/**
 * Build nodes for untrusted multi-line text. A button shows the text after the first MAX_CHARACTERS.
 *
 * render -- builds the nodes of a part of the text
 */
export function longText(text, render = (part) => untrusted(part, { lines: true })) {
  const body = h("div", { class: "long-text" }, render(text.slice(0, MAX_CHARACTERS)));
  if (text.length <= MAX_CHARACTERS) return body;
  const more = h("button", { type: "button", class: "link" }, t("report.showAll", { n: text.length }));
  more.addEventListener("click", () => {
    fill(body, render(text));
    more.remove();
  });
  return [body, more];
}

/** Escape untrusted text as a string, for attributes and options. */
export function plain(text) {
  return String(text ?? "").replace(ALL_HIDDEN, (character) => `[${codePointName(character)}]`);
}

/** Escape a name as a string that cannot affect the surrounding text. */
export function plainName(name) {
  return name.replace(UNSAFE_IN_NAME, (character) => `[${codePointName(character)}]`);
}

/** Build an element for a name: `plainName`, with an isolated text direction. */
export const untrustedName = (name) => h("bdi", { class: "untrusted" }, plainName(name));

/** Split text into strings and elements that name its hidden characters. */
function markHidden(text, lines) {
  if (!HIDDEN.test(text)) return [text];
  const nodes = [];
  let start = 0;
  let rest = "";
  for (const { 0: character, index } of text.matchAll(ALL_HIDDEN)) {
    if (lines && (character === "\n" || character === "\t")) continue;
    if (character === JOINER && isInEmoji(text, index)) continue;
    const before = text.slice(start, index);
    if (nodes.length < 2 * MAX_ELEMENTS) nodes.push(before, h("span", { class: "hidden-character" }, codePointName(character)));
    else rest += `${before}[${codePointName(character)}]`;
    start = index + character.length;
  }
  return [...nodes, rest + text.slice(start)];
}

function isInEmoji(text, index) {
  const before = [...text.slice(Math.max(0, index - 2), index)].at(-1) ?? "";
  return IN_EMOJI.test(before);
}

/** `U+202E` */
function codePointName(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
