// A page's loading, failure and empty states.

import { ApiError, SIGNED_OUT } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./texts.js";

// The latest call for each container.
const latestCalls = new WeakMap();

/**
 * Fill a container with the nodes of `render(value)` for the value of `load()`. Shows a message while loading, and an
 * error with a retry button after a failure. Only the latest call for a container takes effect.
 */
export function renderAsync(container, load, render, message = t("common.loading")) {
  return run({ container, load, render, message });
}

/** Like `renderAsync`, for a page whose `render` builds the heading. The heading is `title` while loading and after a failure. */
export function renderPageAsync(main, title, load, render) {
  return run({ container: main, load, render, message: t("common.loading"), title });
}

async function run(options) {
  const { container, load, render, message, title } = options;
  const heading = title ? [h("h1", { tabindex: "-1" }, title)] : [];
  latestCalls.set(container, options);
  const isLatest = () => latestCalls.get(container) === options;
  const show = (...nodes) => isLatest() && fill(container, ...nodes);
  container.setAttribute("aria-busy", "true");
  show(...heading, h("p", { class: "quiet loading", role: "status" }, message));
  try {
    const value = await load();
    if (isLatest()) show(render(value));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) console.error(error);
    show(...heading, errorNotice(error, () => retry(options)));
  } finally {
    if (isLatest()) container.removeAttribute("aria-busy");
  }
}

/** Retry. Focuses the container, because the pressed button disappears. */
function retry(options) {
  const { container } = options;
  if (!container.hasAttribute("tabindex")) container.tabIndex = -1;
  container.focus({ preventScroll: true });
  return run({ ...options });
}

/** Build an error notice. Its button calls `onRetry`; `heading` is the title's element name. */
export function errorNotice(error, onRetry, { heading = "strong" } = {}) {
  const [title, text] = describeError(error);
  const canRetry = onRetry && ![403, 404].includes(error.status);
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h(heading, heading === "h1" ? { tabindex: "-1" } : {}, title),
    h("p", {}, text),
    canRetry && h("button", { type: "button", class: "secondary", onclick: () => onRetry() }, t("common.tryAgain")),
  );
}

/** Return a title and a message for an error. */
export function describeError(error) {
  if (!(error instanceof ApiError)) return [t("errors.title"), t("errors.page")];
  if (error.status === 0) return [t("errors.unreachableTitle"), t("errors.unreachable")];
  if (error.code === SIGNED_OUT) return [t("errors.signedOutTitle"), t("errors.signedOut")];
  // The service's messages mark names as code.
  const message = error.message.replaceAll("`", "");
  if (error.status === 403) return [t("errors.forbiddenTitle"), message];
  if (error.status === 404) return [t("errors.missingTitle"), t("errors.missing")];
  if ([409, 412].includes(error.status) && !error.details.length) return [t("errors.conflictTitle"), message];
  if (error.code === "invalid_request" && !error.details.length) return [t("errors.fieldsTitle"), t("errors.fields")];
  const details = error.details.map((detail) => `${detail.path.join(".")}: ${detail.message}`.replaceAll("`", ""));
  // The message of `invalid_request` only refers to its details.
  const texts = error.code === "invalid_request" ? details : [message || t("errors.service"), ...details];
  return [t("errors.title"), texts.join(" ")];
}

/** Build an empty state that says what to do. */
export function emptyState(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, ...actions));
}
