// Texts that a candidate wrote: characters that are invisible, or that change the text around them, are shown by name.

import { fill, h } from "./dom.js";
import { t } from "./texts.js";

// Marks above and below a letter that would reach into other lines; no language has so many.
const STACKED = /(?<=\p{M}{5})\p{M}/u;
// Control, format, filler and tag characters, lone surrogates, and line and paragraph separators.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const HIDDEN = new RegExp(`${INVISIBLE.source}|${STACKED.source}`, "u");
const EACH_HIDDEN = new RegExp(HIDDEN, "gu");
// A joiner within an emoji changes nothing but the emoji.
const IN_EMOJI = /^[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;
// Those that change what is around them. Others, such as joiners, belong to names in some languages.
const UNSAFE_IN_NAME = new RegExp(`[\\u202a-\\u202e\\u2066-\\u2069]|${STACKED.source}`, "gu");
const JOINER = "\u200d";
const MAX_CHARACTERS = 3_000;
// Each is an element; a text of nothing else could stop the page for minutes.
const MAX_ELEMENTS = 20;

/**
 * A text node's worth of an untrusted text: nothing in it can reorder its surroundings, hide, or move a cursor.
 *
 * lines -- keep line ends and tabs, for a `pre`
 */
export function untrusted(text, { lines = false } = {}) {
  return h("bdi", { class: "untrusted" }, parts(String(text ?? ""), lines));
}

/** An untrusted text with its lines, truncated until the button shows all of it. */
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

/** The same as plain text, for attributes and options. */
export function plain(text) {
  return String(text ?? "").replace(EACH_HIDDEN, (character) => `[${nameOf(character)}]`);
}

/** A name as plain text, also within a sentence: nothing in it changes the rest. */
export function plainName(name) {
  return name.replace(UNSAFE_IN_NAME, (character) => `[${nameOf(character)}]`);
}

/** A name as an element: as `plainName`, and the direction of its script stays within it. */
export const shownName = (name) => h("bdi", { class: "untrusted" }, plainName(name));

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
