// A candidate's menu of actions. Its items depend on the candidate's status and the caller's scope.

import * as api from "../shared/api.js";
import { copyText } from "../shared/clipboard.js";
import { toast } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import * as dialogs from "./candidate_dialogs.js";
import { accepts, act } from "../decisions/selection.js";
import { keyLink } from "./invite_batches.js";
import { candidateName, isHidden } from "../shared/names.js";
import { describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";

const MASKED_KEY = "PST-****-****";

/**
 * Build a button that opens the menu.
 *
 * candidate -- a candidate from the API, or a row with `candidateId`; the menu loads the current state when it opens
 * onChange -- called after each change and each undo
 */
export function actionsMenu(candidate, assessment, { can, onChange = () => {} }) {
  const menuId = newId("menu");
  const id = candidate.candidateId ?? candidate.id;
  const label = t("actions.menu", { name: candidateName(candidate, assessment) });
  const button = h("button", { type: "button", class: "menu-button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label, onclick: toggle, onkeydown: openByKey }, h("span", { "aria-hidden": "true" }, "⋯"));
  const holder = h("div", { class: "menu-holder" }, button);
  // The menu is created when it opens, because a long list has many buttons.
  let menu = null;
  // Pressing the button closes an open menu before the click. The click must not reopen it.
  let wasOpen = false;
  button.addEventListener("pointerdown", () => { wasOpen = menu !== null; });
  return holder;

  function toggle() {
    const isClosing = wasOpen;
    wasOpen = false;
    if (isClosing) menu?.hidePopover();
    else open();
  }

  async function open() {
    const element = h("div", { id: menuId, class: "menu", role: "menu", popover: "auto", "aria-label": label, onkeydown: move }, note(t("common.loading")));
    element.addEventListener("toggle", ({ newState }) => newState === "closed" && onClose(element));
    menu = element;
    holder.append(menu);
    button.setAttribute("aria-expanded", "true");
    menu.showPopover();
    place(menu, button);
    fill(element, await items());
    if (!element.isConnected) return;
    place(element, button);
    element.querySelector("[role=menuitem]").focus();
  }

  function onClose(element) {
    element.remove();
    if (menu !== element) return;
    menu = null;
    button.setAttribute("aria-expanded", "false");
  }

  /** Build the available actions. */
  async function items() {
    try {
      const current = (await api.get(`/v1/candidates/${id}`)).candidate;
      // A board of all assessments knows only a part of each.
      const full = "timeLimitMinutes" in assessment ? assessment : (await api.get(`/v1/assessments/${current.assessmentId}`)).assessment;
      const context = { candidate: current, assessment: full, can, path: `/v1/candidates/${id}`, name: candidateName(current, assessment), onDone, onChange };
      const available = ACTIONS.filter(([, isAvailable]) => isAvailable(context));
      return available.length ? available.map(([name, , run]) => item(name, () => run(context))) : note(t("actions.nothing"));
    } catch (error) {
      return note(describeError(error).join(". "));
    }
  }

  function item(name, run) {
    const isDanger = ["revoke", "erase"].includes(name);
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", class: isDanger ? "danger" : null, onclick: () => choose(run) }, t(`actions.${name}.action`));
  }

  async function choose(run) {
    menu?.hidePopover();
    button.focus();
    await run();
  }

  /** Report a change in a toast, with an Undo button if there is an `undo`. Calls `onChange` after both. */
  function onDone(message, undo) {
    toast(message, undo && { undo: async () => { await undo(); onChange(); } });
    onChange();
  }

  function openByKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    if (menu === null) open();
  }
}

addEventListener("scroll", () => document.querySelector(".menu:popover-open")?.hidePopover(), { capture: true, passive: true });

/** Build a message to show instead of the items. */
const note = (text) => h("div", { role: "menuitem", "aria-disabled": "true", tabindex: "-1", class: "quiet" }, text);

/** Focus the next, previous, first or last item, or the next item that starts with the typed letter. */
function move(event) {
  const items = [...event.currentTarget.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Tab") event.currentTarget.hidePopover();
  if (next !== undefined) {
    event.preventDefault();
    items.at(next % items.length)?.focus();
  } else if (event.key.length === 1 && event.key !== " ") {
    const after = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    after.find((item) => item.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  }
}

/** Position the menu below the button, or above it near the window's bottom. */
function place(menu, button) {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const x = left + width > innerWidth - 8 ? Math.max(8, right - width) : left;
  const y = bottom + height > innerHeight - 8 && top > height ? top - height - 4 : bottom + 4;
  menu.style.left = `${x}px`;
  menu.style.top = `${y}px`;
}

const isOpen = ({ status }) => status === "pending" || status === "active";
const canWrite = ({ can }) => can("write");
const hasVisibleKey = ({ key }) => key !== MASKED_KEY;

/** Build the item of an action that is also available for a selection. */
function shared(name) {
  const run = ({ candidate, assessment, onChange }) => act(name, [{ ...candidate, blind: assessment.blind }], { onDone: onChange });
  return [name, (context) => canWrite(context) && accepts(name, { ...context.candidate, blind: context.assessment.blind }), run];
}

// [name, condition, function], in menu order.
const ACTIONS = [
  ["copyLink", ({ candidate }) => isOpen(candidate) && hasVisibleKey(candidate), ({ candidate }) => copyAndReport(keyLink(candidate), "copyLink")],
  ["copyKey", ({ candidate }) => isOpen(candidate) && hasVisibleKey(candidate), ({ candidate }) => copyAndReport(candidate.key, "copyKey")],
  ["messages", ({ candidate }) => Boolean(candidate.invite), dialogs.showMessages],
  shared("resend"),
  shared("remind"),
  ["update", (context) => canWrite(context) && !isHidden(context.candidate, context.assessment), dialogs.updateDetails],
  shared("extend"),
  ["accommodate", (context) => canWrite(context) && isOpen(context.candidate) && Boolean(context.assessment.timeLimitMinutes), dialogs.accommodate],
  ["allowRestart", (context) => canWrite(context) && context.candidate.status === "active", dialogs.allowRestart],
  shared("revoke"),
  ["erase", ({ can }) => can("admin"), dialogs.erase],
];

async function copyAndReport(text, name) {
  toast((await copyText(text)) ? t(`actions.${name}.done`) : t("invite.copyFailed", { text }));
}
