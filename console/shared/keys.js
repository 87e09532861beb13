// Keyboard shortcuts of a page: single keys, which the reader can turn off.

import { showContent } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./texts.js";

const OFF = "proofstone.keysOff";

/** Call `actions[key](event)` when a key is pressed outside inputs, dialogs and menus. */
export function onKeys(actions, signal) {
  const press = (event) => {
    const { key, target, ctrlKey, metaKey, altKey, defaultPrevented } = event;
    const isTyping = target.closest("input:not([type=checkbox]), select, textarea");
    const isElsewhere = isTyping || document.querySelector("dialog[open], :popover-open");
    if (ctrlKey || metaKey || altKey || defaultPrevented || isElsewhere || !Object.hasOwn(actions, key)) return;
    if (localStorage.getItem(OFF)) return;
    event.preventDefault();
    actions[key](event);
  };
  addEventListener("keydown", press, { signal });
}

/** Show what each key does, `[key, text]`, with a box to turn the keys off. */
export function showKeys(keys) {
  const isOn = h("input", { type: "checkbox", onchange: () => (isOn.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")) });
  isOn.checked = !localStorage.getItem(OFF);
  const list = h("dl", { class: "pairs" }, keys.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text))));
  return showContent(t("board.keys.title"), [list, h("label", { class: "check-line" }, isOn, t("board.keys.on"))]);
}
