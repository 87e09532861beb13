// Dialogs, confirmations, forms, and toasts.

import { ApiError } from "./api.js";
import { fill, h, newId } from "./dom.js";
import { explain } from "./states.js";
import { t } from "./texts.js";

const TOAST_MS = 8_000;
const UNDO_MS = 20_000;

/**
 * Open a modal dialog with a form; resolves to the result of `save(form)`, or null if it was cancelled.
 *
 * title -- its heading
 * content -- nodes of the form
 * save -- called with the form; the button is disabled while it runs. An ApiError is shown beside its fields, and the
 *   dialog stays open
 * action -- the button's text; `danger` marks an action that cannot be undone
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
  // Escape closes the dialog even while it saves. The result still applies.
  await saving;
  return result;
}

/** Show a dialog; resolves when it is closed and removed from the page. */
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

/** Confirm and run an action that cannot be undone; resolves to whether it ran. */
export async function confirm({ title, text, action, run }) {
  return (await ask({ title, content: h("p", {}, text), action, danger: true, save: run })) !== null;
}

/**
 * Call `save` when a form is submitted. Disables the `submit` button while it runs. `failed` shows an error, by
 * default in the form and in `message`.
 */
export function onSubmit(form, { submit, message, save, failed = (error) => showErrors(form, message, error) }) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    message.hidden = true;
    runAction(submit, save, failed);
  });
}

/** Show an ApiError's messages beside their fields, and messages without a field in `message`. */
export function showErrors(form, message, error) {
  if (!(error instanceof ApiError)) console.error(error);
  clearErrors(form);
  const others = (error.details ?? []).filter(({ path, message: sentence }) => !showFieldError(form, path, sentence));
  const [title, text] = explain({ __proto__: error, details: others });
  fill(message, h("strong", {}, title), h("p", {}, text));
  message.hidden = false;
  (form.querySelector("[aria-invalid]") ?? message).focus?.();
}

function clearErrors(form) {
  for (const old of form.querySelectorAll(".field-error")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    describe(field, null);
  }
}

function showFieldError(form, path, sentence) {
  const field = form.elements.namedItem(path[0] ?? "");
  if (!(field instanceof HTMLElement)) return false;
  const id = newId("error");
  field.setAttribute("aria-invalid", "true");
  field.after(h("p", { class: "field-error", id }, sentence));
  describe(field, id);
  return true;
}

/** Connect a field with its hint and error for assistive technology. */
function describe(field, errorId) {
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && document.getElementById(id));
  const described = [...new Set([...ids, errorId])].filter(Boolean).join(" ");
  if (described) field.setAttribute("aria-describedby", described);
  else field.removeAttribute("aria-describedby");
}

/** Build a labeled input: `field("Title", h("input", {name: "title"}), "Shown to candidates.")` */
export function field(label, input, hint) {
  input.id ||= newId("field");
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

/** Show an error, unless leaving the page caused it. */
export function toastError(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof ApiError)) console.error(error);
  toast(explain(error).join(". "));
}

/** Run a button's action with the button disabled; `failed` shows its error. */
export async function runAction(button, run, failed = toastError) {
  button.disabled = true;
  try {
    await run();
  } catch (error) {
    failed(error);
  } finally {
    button.disabled = false;
  }
}

/** Show a short message, optionally with an Undo button. It stays while it is hovered or focused. */
export function toast(text, { undo } = {}) {
  const toasts = document.querySelector("[data-toasts]");
  for (const old of [...toasts.children]) if (!undo && old.textContent === text) old.remove();
  const element = h("div", { class: "toast" }, h("span", {}, text));
  const close = () => element.remove();
  const stays = () => element.matches(":hover, :focus-within");
  if (undo) {
    const run = async () => {
      close();
      try {
        await undo();
      } catch (error) {
        toastError(error);
      }
    };
    element.append(h("button", { type: "button", onclick: run }, t("common.undo")));
  }
  toasts.append(element);
  const closeLater = () => setTimeout(() => (stays() ? closeLater() : close()), undo ? UNDO_MS : TOAST_MS);
  closeLater();
}
