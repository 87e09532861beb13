// A candidate's menu: the actions that the candidate's status and the caller's scope allow.

import * as api from "../shared/api.js";
import { copyText } from "../shared/clipboard.js";
import { toast, toastError } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import * as dialogs from "./candidate_dialogs.js";
import { keyLink } from "./invite_batches.js";
import { candidateName, isHidden } from "../shared/names.js";
import { explain } from "../shared/states.js";
import { t } from "../shared/texts.js";

const MASKED = "PST-****-****";

/**
 * Build a button that opens the menu.
 *
 * candidate -- as in the API, or a row with `candidateId`; the menu reads the current state when it opens
 * onChange -- called after each change and each undo
 */
export function actionsMenu(candidate, assessment, { can, onChange = () => {} }) {
  const menuId = newId("menu");
  const id = candidate.candidateId ?? candidate.id;
  const label = t("actions.menu", { name: candidateName(candidate, assessment) });
  const button = h("button", { type: "button", class: "menu-button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label, onclick: toggle, onkeydown: openByKey }, h("span", { "aria-hidden": "true" }, "⋯"));
  const holder = h("div", { class: "menu-holder" }, button);
  // The menu exists only while it is open, because a long list has many buttons.
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
    const opened = h("div", { id: menuId, class: "menu", role: "menu", popover: "auto", "aria-label": label, onkeydown: move }, note(t("common.loading")));
    opened.addEventListener("toggle", ({ newState }) => newState === "closed" && closed(opened));
    menu = opened;
    holder.append(menu);
    button.setAttribute("aria-expanded", "true");
    menu.showPopover();
    place(menu, button);
    fill(opened, await items());
    if (!opened.isConnected) return;
    place(opened, button);
    opened.querySelector("[role=menuitem]").focus();
  }

  function closed(opened) {
    opened.remove();
    if (menu !== opened) return;
    menu = null;
    button.setAttribute("aria-expanded", "false");
  }

  /** Show the actions that are available now. */
  async function items() {
    try {
      const current = (await api.get(`/v1/candidates/${id}`)).candidate;
      const context = { candidate: current, assessment, can, path: `/v1/candidates/${id}`, name: candidateName(current, assessment), done };
      const offered = ACTIONS.filter(([, isOffered]) => isOffered(context));
      return offered.length ? offered.map(([name, , run]) => item(name, () => run(context))) : note(t("actions.nothing"));
    } catch (error) {
      return note(explain(error).join(". "));
    }
  }

  function item(name, run) {
    const isDanger = ["revoke", "erase"].includes(name);
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", class: isDanger ? "danger" : null, onclick: () => choose(run) }, t(`actions.${name}.action`));
  }

  async function choose(run) {
    menu?.hidePopover();
    button.focus();
    try {
      await run();
    } catch (error) {
      toastError(error);
    }
  }

  /** Confirm a change, and offer `undo`, which calls `onChange` again. */
  function done(text, undo) {
    toast(text, undo && { undo: async () => { await undo(); onChange(); } });
    onChange();
  }

  function openByKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    if (menu === null) open();
  }
}

addEventListener("scroll", () => document.querySelector(".menu:popover-open")?.hidePopover(), { capture: true, passive: true });

/** Show a text instead of the items. */
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
    after.find((each) => each.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
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
const writes = ({ can }) => can("write");
const showsKey = ({ key }) => key !== MASKED;

// The actions in menu order: name, condition, function.
const ACTIONS = [
  ["copyLink", ({ candidate }) => isOpen(candidate) && showsKey(candidate), ({ candidate }) => copied(keyLink(candidate), "copyLink")],
  ["copyKey", ({ candidate }) => isOpen(candidate) && showsKey(candidate), ({ candidate }) => copied(candidate.key, "copyKey")],
  ["messages", ({ candidate }) => Boolean(candidate.invite), dialogs.showMessages],
  ["resend", (context) => writes(context) && isOpen(context.candidate) && Boolean(context.candidate.candidateEmail || context.candidate.invite), dialogs.resend],
  ["change", (context) => writes(context) && !isHidden(context.candidate, context.assessment), dialogs.change],
  ["extend", (context) => writes(context) && context.candidate.status === "pending", dialogs.extend],
  ["reopen", (context) => writes(context) && context.candidate.status === "expired" && !context.candidate.sessionId, dialogs.reopen],
  ["accommodate", (context) => writes(context) && isOpen(context.candidate) && Boolean(context.assessment.timeLimitMinutes), dialogs.accommodate],
  ["allowRestart", (context) => writes(context) && context.candidate.status === "active", dialogs.allowRestart],
  ["revoke", writes, dialogs.revoke],
  ["erase", ({ can }) => can("admin"), dialogs.erase],
];

async function copied(text, name) {
  toast((await copyText(text)) ? t(`actions.${name}.done`) : t("invite.copyFailed", { text }));
}
