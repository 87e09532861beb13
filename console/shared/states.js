// A page's loading, failure and empty states.

import { ApiError, SIGNED_OUT } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./texts.js";

const latest = new WeakMap();

/**
 * Show `render(value)`'s nodes for the value of `load()`. Shows a message while loading, and after a failure the error
 * with a button to try again. Only the last call for a container takes effect.
 *
 * waiting -- the message
 */
export function loaded(container, load, render, waiting = t("common.loading")) {
  return run({ container, load, render, waiting });
}

/** Like `loaded`, for a page whose heading depends on the value. Until then and after a failure, the heading is `title`. */
export function loadedPage(main, title, load, render) {
  return run({ container: main, load, render, waiting: t("common.loading"), title });
}

async function run(options) {
  const { container, load, render, waiting, title } = options;
  const heading = title ? [h("h1", { tabindex: "-1" }, title)] : [];
  const turn = {};
  latest.set(container, turn);
  const show = (...nodes) => latest.get(container) === turn && fill(container, ...nodes);
  container.setAttribute("aria-busy", "true");
  show(...heading, h("p", { class: "quiet loading", role: "status" }, waiting));
  try {
    const value = await load();
    if (latest.get(container) === turn) show(render(value));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) console.error(error);
    show(...heading, failure(error, () => retry(options)));
  } finally {
    if (latest.get(container) === turn) container.removeAttribute("aria-busy");
  }
}

/** Retry. The pressed button disappears, so the focus moves to the loaded content. */
function retry(options) {
  const { container } = options;
  if (!container.hasAttribute("tabindex")) container.tabIndex = -1;
  container.focus({ preventScroll: true });
  return run(options);
}

/** Build an error notice. Its button calls `retry`; `heading` is the title's element name. */
export function failure(error, retry, { heading = "strong" } = {}) {
  const [title, text] = explain(error);
  const canRetry = retry && ![403, 404].includes(error.status);
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h(heading, heading === "h1" ? { tabindex: "-1" } : {}, title),
    h("p", {}, text),
    canRetry && h("button", { type: "button", class: "secondary", onclick: () => retry() }, t("common.tryAgain")),
  );
}

/** Return an error's title and message. */
export function explain(error) {
  if (!(error instanceof ApiError)) return [t("errors.title"), t("errors.page")];
  if (error.status === 0) return [t("errors.unreachableTitle"), t("errors.unreachable")];
  if (error.code === SIGNED_OUT) return [t("errors.signedOutTitle"), t("errors.signedOut")];
  if (error.status === 403) return [t("errors.forbiddenTitle"), error.message];
  if (error.status === 404) return [t("errors.missingTitle"), t("errors.missing")];
  if ([409, 412].includes(error.status) && !error.details.length) return [t("errors.conflictTitle"), error.message];
  if (error.code === "invalid_request" && !error.details.length) return [t("errors.fieldsTitle"), t("errors.fields")];
  const details = error.details.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return [t("errors.title"), [error.message || t("errors.service"), ...details].join(" ")];
}

/** Build an empty state that says what to do. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, ...actions));
}
