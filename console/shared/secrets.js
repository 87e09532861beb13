// Secrets that the service shows once.

import { copyText } from "./clipboard.js";
import { showDialog } from "./dialogs.js";
import { h, newId } from "./dom.js";
import { t } from "./texts.js";

/** Show a secret in a dialog. Resolves when it is closed. */
export function showSecret({ title, text, secret }) {
  const id = newId("secret");
  const value = h("input", { id, readonly: true, value: secret, spellcheck: "false", class: "secret" });
  const status = h("span", { role: "status", class: "quiet" });
  const copy = async () => {
    value.select();
    if (await copyText(secret)) status.textContent = t("secrets.copied");
  };
  const titleId = newId("dialog");
  const dialog = h(
    "dialog",
    { "aria-labelledby": titleId },
    h("h2", { id: titleId }, title),
    h("p", {}, text),
    h("div", { class: "field" }, h("label", { for: id }, t("secrets.label")), value),
    h("p", { class: "notice warn" }, t("secrets.once")),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: copy }, t("secrets.copy")),
      h("button", { type: "button", class: "secondary", onclick: () => dialog.close() }, t("common.close")),
      status,
    ),
  );
  const closed = showDialog(dialog);
  value.select();
  return closed;
}
