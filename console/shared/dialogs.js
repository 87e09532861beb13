// Dialogs, confirmations, forms, and toasts.

import { ApiError } from "./api.js";
import { fill, h, newId } from "./dom.js";
import { describeError } from "./states.js";
import { t } from "./texts.js";

const TOAST_MS = 8_000;
const UNDO_MS = 20_000;
const MAX_TOASTS = 2;

/**
 * Open a modal dialog with a form. Resolves to the result of `save(form)`, or null if canceled.
 *
 * title -- the dialog's heading
 * content -- the form's nodes
 * save -- called with the form; the button is disabled while it runs. If it throws an ApiError, the dialog stays open and
 *   shows the messages next to their fields
 * action -- the submit button's label; `danger` styles it for an action that cannot be undone
 */
export async function ask({ title, content, save, action = t("common.save"), danger = false }) {
  const titleId = newId("dialog");
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const submit = h("button", { type: "submit", class: danger ? "primary danger" : "primary" }, action);
  const cancel = h("button", { type: "button", class: "secondary", onclick: () => dialog.close() }, t("common.cancel"));
  const form = h("form", { method: "dialog" }, content, message, h("div", { class: "actions" }, submit, cancel));
  const dialog = h("dialog", { "aria-labelledby": titleId }, h("h2", { id: titleId }, title), form);
  let result = null;
  let saving = null;
  const run = async () => {
    try {
      result = (await save(form)) ?? true;
      dialog.close();
    } catch (error) {
      if (dialog.open) showErrors(form, message, error);
      else toastError(error);
    }
  };
  onSubmit(form, {
    submit,
    message,
    save: () => {
      clearErrors(form);
      saving = run();
      return saving;
    },
  });
  await showDialog(dialog);
  // Escape closes the dialog even while `save` is running, so wait for its result.
  await saving;
  return result;
}

/** Show a dialog. Resolves when it is closed and removed from the page. */
export function showDialog(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}

/** Show content in a dialog that only closes, below optional buttons. Resolves when it is closed. */
export function showContent(title, content, buttons = null) {
  const titleId = newId("dialog");
  const close = h("button", { type: "button", class: "secondary", onclick: () => dialog.close() }, t("common.close"));
  const dialog = h("dialog", { "aria-labelledby": titleId }, h("h2", { id: titleId }, title), content, h("div", { class: "actions" }, buttons, close));
  return showDialog(dialog);
}

/** Ask for confirmation, then run an action that cannot be undone. Resolves to true if it ran. */
export async function confirm({ title, text, action, run }) {
  return (await ask({ title, content: h("p", {}, text), action, danger: true, save: run })) !== null;
}

/**
 * Call `save` when a form is submitted, with the `submit` button disabled. `onError` handles its error; by default,
 * `showErrors` shows it.
 */
export function onSubmit(form, { submit, message, save, onError = (error) => showErrors(form, message, error) }) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    message.hidden = true;
    runAction(submit, save, onError);
  });
}

/** Build a form with a submit button, which calls `save(form)`. Shows its errors like `onSubmit`. */
export function saveForm({ content, action, save, className = null }) {
  const message = h("div", { class: "notice bad", role: "alert", tabindex: "-1", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, action);
  const form = h("form", { class: className }, content, message, h("div", { class: "actions" }, submit));
  onSubmit(form, { submit, message, save: () => save(form) });
  return form;
}

/** Show in a form's `message` that someone else has changed the object, with a button that loads it again. */
export function showConflict(message, title, reload) {
  fill(
    message,
    h("strong", {}, title),
    h("p", {}, t("common.conflict")),
    h("button", { type: "button", class: "secondary", onclick: reload }, t("common.reload")),
  );
  message.hidden = false;
  message.focus();
}

/** Show an ApiError's messages next to their fields, and messages without a field in `message`. */
export function showErrors(form, message, error) {
  if (!(error instanceof ApiError)) console.error(error);
  clearErrors(form);
  const withoutField = (error.details ?? []).filter((detail) => !showFieldError(form, detail));
  const [title, text] = describeError({ __proto__: error, details: withoutField });
  fill(message, h("strong", {}, title), h("p", {}, text));
  message.hidden = false;
  (form.querySelector("[aria-invalid]") ?? message).focus?.();
}

function clearErrors(form) {
  for (const error of form.querySelectorAll(".field-error")) error.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    describe(input, null);
  }
}

function showFieldError(form, { path, message }) {
  const input = form.elements.namedItem(path[0] ?? "");
  if (!(input instanceof HTMLElement)) return false;
  const id = newId("error");
  input.setAttribute("aria-invalid", "true");
  input.after(h("p", { class: "field-error", id }, message));
  describe(input, id);
  return true;
}

/** Reference an input's hint and error for assistive technology. */
function describe(input, errorId) {
  const ids = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && document.getElementById(id));
  const value = [...new Set([...ids, errorId])].filter(Boolean).join(" ");
  if (value) input.setAttribute("aria-describedby", value);
  else input.removeAttribute("aria-describedby");
}

/** Build a labeled input: `field("Title", h("input", {name: "title"}), "Shown to candidates.")` */
export function field(label, input, hint) {
  input.id ||= newId("field");
  // `required` accepts spaces.
  if (input.required !== undefined && /^(textarea|text)$/.test(input.type)) input.addEventListener("input", () => input.value.trim() || (input.value = ""));
  const hintId = `${input.id}-hint`;
  if (hint) input.setAttribute("aria-describedby", hintId);
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    hint && h("p", { class: "quiet", id: hintId }, hint),
    input,
  );
}

/** Show an error in a toast. Ignores requests aborted by leaving the page. */
export function toastError(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof ApiError)) console.error(error);
  toast(describeError(error).join(". "));
}

/** Run an action with its button disabled. `onError` handles its error. */
export async function runAction(button, run, onError = toastError) {
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  try {
    await run();
  } catch (error) {
    onError(error);
  } finally {
    button.disabled = false;
    // Disabling drops the focus, which a closed dialog then cannot restore.
    if (hadFocus && document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

/**
 * Show a short message, optionally with an Undo button. Stays open while hovered or focused, but at most MAX_TOASTS do.
 * A message replaces the previous one.
 */
export function toast(text, { undo } = {}) {
  const toasts = document.querySelector("[data-toasts]");
  const others = [...toasts.children];
  for (const other of others) if (!other.querySelector("button") || others.indexOf(other) <= others.length - MAX_TOASTS) other.remove();
  const element = h("div", { class: "toast" }, h("span", {}, text));
  const close = () => element.remove();
  const isInUse = () => element.matches(":hover, :focus-within");
  if (undo) {
    const run = async () => {
      close();
      await undo();
    };
    element.append(h("button", { type: "button", onclick: run }, t("common.undo")));
  }
  toasts.append(element);
  const closeLater = () => setTimeout(() => (isInUse() ? closeLater() : close()), undo ? UNDO_MS : TOAST_MS);
  closeLater();
}
