// Secrets that the service shows once.

import { copyText } from "./clipboard.js";
import { showContent } from "./dialogs.js";
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
  const content = [
    h("p", {}, text),
    h("div", { class: "field" }, h("label", { for: id }, t("secrets.label")), value, status),
    h("p", { class: "notice warn" }, t("secrets.once")),
  ];
  const closed = showContent(title, content, h("button", { type: "button", class: "primary", onclick: copy }, t("secrets.copy")));
  value.select();
  return closed;
}
