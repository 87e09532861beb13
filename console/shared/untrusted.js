// Candidates' texts. Characters that are invisible or change the surrounding text are shown by name.

import { fill, h } from "./dom.js";
import { t } from "./texts.js";

// Stacked combining marks that would reach into other lines; no language uses so many.
const STACKED = /(?<=\p{M}{5})\p{M}/u;
// Control, format, filler and tag characters, lone surrogates, and line and paragraph separators.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const HIDDEN = new RegExp(`${INVISIBLE.source}|${STACKED.source}`, "u");
const EACH_HIDDEN = new RegExp(HIDDEN, "gu");
// A joiner within an emoji affects only the emoji.
const IN_EMOJI = /^[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;
// Characters that change the surrounding text. Some languages use others, such as joiners, in names.
const UNSAFE_IN_NAME = new RegExp(`[\\u202a-\\u202e\\u2066-\\u2069]|${STACKED.source}`, "gu");
const JOINER = "\u200d";
const MAX_CHARACTERS = 3_000;
// Each character becomes an element; too many would block the page for minutes.
const MAX_ELEMENTS = 20;

/**
 * Build a node for an untrusted text, which cannot reorder its surroundings, hide, or move a cursor.
 *
 * lines -- keep line ends and tabs, for a `pre`
 */
export function untrusted(text, { lines = false } = {}) {
  return h("bdi", { class: "untrusted" }, parts(String(text ?? ""), lines));
}

/** Build an untrusted multi-line text, truncated until its button shows the rest. */
export function longText(text, limit = MAX_CHARACTERS) {
  const body = h("div", { class: "long-text" }, untrusted(text.slice(0, limit), { lines: true }));
  if (text.length <= limit) return body;
  const more = h("button", { type: "button", class: "link" }, t("report.showAll", { n: text.length }));
  more.addEventListener("click", () => {
    fill(body, untrusted(text, { lines: true }));
    more.remove();
  });
  return [body, more];
}

/** Convert an untrusted text to plain text, for attributes and options. */
export function plain(text) {
  return String(text ?? "").replace(EACH_HIDDEN, (character) => `[${nameOf(character)}]`);
}

/** Convert a name to plain text that cannot affect the rest of a sentence. */
export function plainName(name) {
  return name.replace(UNSAFE_IN_NAME, (character) => `[${nameOf(character)}]`);
}

/** Build an element for a name: like `plainName`, with its text direction isolated. */
export const untrustedName = (name) => h("bdi", { class: "untrusted" }, plainName(name));

function parts(text, lines) {
  if (!HIDDEN.test(text)) return [text];
  const found = [];
  let start = 0;
  let rest = "";
  for (const { 0: character, index } of text.matchAll(EACH_HIDDEN)) {
    if (lines && (character === "\n" || character === "\t")) continue;
    if (character === JOINER && isInEmoji(text, index)) continue;
    const before = text.slice(start, index);
    if (found.length < 2 * MAX_ELEMENTS) found.push(before, h("span", { class: "hidden-character" }, nameOf(character)));
    else rest += `${before}[${nameOf(character)}]`;
    start = index + character.length;
  }
  return [...found, rest + text.slice(start)];
}

function isInEmoji(text, index) {
  const before = [...text.slice(Math.max(0, index - 2), index)].at(-1) ?? "";
  return IN_EMOJI.test(before);
}

/** `U+202E` */
function nameOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
