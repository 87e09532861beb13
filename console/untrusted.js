// Texts that a candidate wrote: characters that are invisible, or that reorder the text around them, are shown by name.

import { h } from "./dom.js";

// Control, format, filler and tag characters, lone surrogates, and line and paragraph separators.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, "gu");
// A joiner within an emoji changes nothing but the emoji.
const IN_EMOJI = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;
const JOINER = "\u200d";
const FIRST_PICTURE = 0x2400;
const DELETE = 0x7f;

/**
 * A text node's worth of an untrusted text: nothing in it can reorder its surroundings, hide, or move a cursor.
 *
 * lines -- keep line ends and tabs, for a `pre`
 */
export function untrusted(text, { lines = false } = {}) {
  return h("bdi", { class: "untrusted" }, parts(String(text ?? ""), lines));
}

/** The same as plain text, for attributes and options. */
export function plain(text) {
  return String(text ?? "").replace(EACH_HIDDEN, (character) => `[${nameOf(character)}]`);
}

function parts(text, lines) {
  if (!HIDDEN.test(text)) return [text];
  const found = [];
  let start = 0;
  for (const { 0: character, index } of text.matchAll(EACH_HIDDEN)) {
    if (lines && (character === "\n" || character === "\t")) continue;
    if (character === JOINER && IN_EMOJI.test(text.slice(Math.max(0, index - 2), index))) continue;
    found.push(text.slice(start, index), h("span", { class: "hidden-character" }, nameOf(character)));
    start = index + character.length;
  }
  return [...found, text.slice(start)];
}

/** `␛` for a control character, `U+202E` for any other. */
function nameOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(FIRST_PICTURE + code);
  return code === DELETE ? "␡" : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}
