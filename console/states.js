// What a page shows while it loads, if it failed, and if there is nothing to show.

import { ApiError } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./texts.js";

/**
 * Show the result of `load()` with `render(value)`, which returns nodes. Until then a message, and after a failure what
 * failed with a button to try again. `waiting` is the message.
 */
export async function loaded(container, load, render, waiting = t("common.loading")) {
  container.setAttribute("aria-busy", "true");
  fill(container, h("p", { class: "quiet loading", role: "status" }, waiting));
  try {
    fill(container, render(await load()));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) console.error(error);
    fill(container, failure(error, () => loaded(container, load, render, waiting)));
  } finally {
    container.removeAttribute("aria-busy");
  }
}

/** What failed. `retry` is called by its button. */
export function failure(error, retry) {
  const [title, text] = explain(error);
  const canRetry = retry && ![403, 404].includes(error.status);
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h("strong", {}, title),
    h("p", {}, text),
    canRetry && h("button", { type: "button", class: "secondary", onclick: retry }, t("common.tryAgain")),
  );
}

/** The title and sentence for an error. */
export function explain(error) {
  if (!(error instanceof ApiError)) return [t("errors.title"), t("errors.page")];
  if (error.status === 0) return [t("errors.unreachableTitle"), t("errors.unreachable")];
  if (error.status === 403) return [t("errors.forbiddenTitle"), error.message];
  if (error.status === 404) return [t("errors.missingTitle"), t("errors.missing")];
  const details = error.details.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return [t("errors.title"), [error.message, ...details].join(" ")];
}

/** Nothing is here yet, and what to do. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, ...actions));
}
