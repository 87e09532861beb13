// The console's frame: sign-in state, navigation, and routing.

import { HOME } from "./shared/url_state.js";
import * as api from "./shared/api.js";
import { toast, toastError } from "./shared/dialogs.js";
import { fill, h } from "./shared/dom.js";
import { describeError, errorNotice } from "./shared/states.js";
import { t } from "./shared/texts.js";

// [URL pattern, module, section of docs/hiring-teams.md]. Each module exports `show(main, params, context)`; see README.md.
const PAGES = [
  ["/assessments", "assessment/list", "assessments"],
  ["/assessments/new", "assessment/form", "assessments"],
  ["/assessments/:assessmentId", "assessment/board", "candidates"],
  ["/assessments/:assessmentId/edit", "assessment/form", "assessments"],
  ["/assessments/:assessmentId/task", "assessment/task", "upload-the-task"],
  ["/assessments/:assessmentId/reviewers", "review/reviewers", "reviewers"],
  ["/assessments/:assessmentId/compliance", "compliance/compliance", "compliance"],
  ["/candidates", "assessment/board", "candidates"],
  ["/sessions/:sessionId", "session/report", "session"],
  ["/sessions/:sessionId/score", "session/report", "score"],
  ["/sessions/:sessionId/print", "print/print", "session-report"],
  ["/sessions/:sessionId/guide", "print/guide", "moments"],
  ["/compare/:firstId/:secondId", "session/compare", "compare"],
  ["/todo", "todo", "to-do"],
  ["/rubrics", "rubrics/rubrics", "rubrics"],
  ["/rubrics/new", "rubrics/rubric", "rubrics"],
  ["/rubrics/:rubricId", "rubrics/rubric", "rubrics"],
  ["/organization", "organization/organization", "organization"],
  ["/organization/:part", "organization/organization", "organization"],
];
// [link, text, pattern of the pages that belong to it]
const NAVIGATION = [
  ["/assessments", "assessments.title", /^\/(assessments|sessions|compare)\b/],
  ["/candidates", "board.title", /^\/candidates\b/],
  ["/todo", "todo.title", /^\/todo\b/],
  ["/rubrics", "rubrics.title", /^\/rubrics\b/],
  ["/organization", "organization.title", /^\/organization\b/],
];
// An id or a name. Pages insert it into API paths, so it must not contain `..` or `/`.
const PARAMETER = /^[\w-]+$/;

let main = document.querySelector("main");
let me = null;
let pageController = new AbortController();
const signedIn = new BroadcastChannel("proofstone.signedIn");
let hasNavigated = false;
let isSigningOut = false;
const toScore = h("span", { class: "count", hidden: true });

/** Parse the path and the query after the `#`. */
function currentRoute() {
  const [, path, query] = /^#?([^?]*)\??(.*)$/s.exec(location.hash);
  return { path: path === "" || path === "/" ? HOME : path, query: new URLSearchParams(query) };
}

/** Find the page for a path: `{module, section, params}`, or null. */
function matchPage(path) {
  for (const [pattern, module, section] of PAGES) {
    const names = pattern.split("/");
    const parts = path.split("/");
    if (names.length !== parts.length) continue;
    if (!names.every((name, n) => (name.startsWith(":") ? PARAMETER.test(parts[n]) : name === parts[n]))) continue;
    const params = names.flatMap((name, n) => (name.startsWith(":") ? [[name.slice(1), parts[n]]] : []));
    return { module, section, params: Object.fromEntries(params) };
  }
  return null;
}

/** True if the caller has a scope: `read`, `write` or `admin`. Service accounts with `write` also have `admin`. */
function can(scope) {
  if (scope === "admin") return me.scopes.includes("write") && (!me.person || me.person.role === "admin");
  return me.scopes.includes(scope);
}

function showFrame() {
  const { path } = currentRoute();
  const links = NAVIGATION.map(([to, label, pages]) =>
    h("a", { href: `#${to}`, "aria-current": pages.test(path) ? (path === to ? "page" : "true") : null }, t(label), to === "/todo" && [" ", toScore]),
  );
  const navigation = document.querySelector("[data-navigation]");
  navigation.setAttribute("aria-label", t("navigation.label"));
  fill(navigation, links);
  navigation.hidden = !me;
  if (!me) toScore.hidden = true;
  const account = document.querySelector("[data-who]");
  account.hidden = !me;
  if (!me) return;
  const name = me.person?.name ?? me.name;
  const signOut = h("button", { type: "button", class: "link", onclick: handleSignOut }, t("signIn.signOut"));
  fill(account, helpLink(matchPage(path)?.section), h("span", { class: "quiet" }, `${name} · ${me.orgName}`), signOut);
}

/** Show the number of sessions to score: the assigned ones, or all without assignments. */
async function showToScore(signal) {
  if (!can("write")) return;
  const { unscored } = await api.get("/v1/todo", { query: { limit: 1 }, signal });
  const count = unscored.assignedCount || unscored.count;
  fill(toScore, count, h("span", { class: "visually-hidden" }, ` ${t("navigation.toScore")}`));
  toScore.hidden = !count;
}

/** Link to the page's section in the guide. */
function helpLink(section = "") {
  const { root } = document.documentElement.dataset;
  const href = `${root}/docs/hiring-teams.md#${section}`;
  return h("a", { class: "quiet-link", href, target: "_blank", rel: "noopener" }, t("navigation.help"));
}

/** Open the sign-in page, which returns to the current page. */
function goToSignIn() {
  if (currentRoute().path.startsWith("/sign-in")) return;
  go(`/sign-in?to=${encodeURIComponent(location.hash.slice(1))}`, { replace: true });
}

async function handleSignOut() {
  const { signOut } = await load("sign_in");
  isSigningOut = true;
  try {
    await signOut();
    me = null;
    go("/sign-in");
  } finally {
    isSigningOut = false;
  }
}

/** Import a page's module. */
async function load(name) {
  try {
    return await import(`./${name}.js`);
  } catch (error) {
    if (error instanceof TypeError) throw new api.ApiError(0);
    throw error;
  }
}

/** Replace `main` with an empty element. A page that is still loading keeps writing to the detached one. */
function newMain(name) {
  const previous = main;
  main = previous.cloneNode(false);
  main.className = `page ${name}`;
  previous.replaceWith(main);
  scrollTo(0, 0);
}

/** Focus the new page's heading, unless the focus is already inside the page. */
function focusHeading() {
  if (!hasNavigated || main.contains(document.activeElement)) return;
  main.querySelector("h1")?.focus({ preventScroll: true });
}

async function show() {
  pageController.abort();
  pageController = new AbortController();
  const { signal } = pageController;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const { path, query } = currentRoute();
  try {
    if (path.startsWith("/sign-in")) return await showSignIn(query, signal);
    const route = matchPage(path);
    const loading = route && load(route.module);
    loading?.catch(() => {}); // Awaited below, unless the request fails first.
    if (!me) {
      // Not `/v1/me`, because browsers log its 401 as an error.
      ({ me } = await api.get("/v1/sign-in", { signal }));
      if (me) signedIn.postMessage(api.callerId(me));
    }
    if (!me) return goToSignIn();
    showFrame();
    if (!route) return showNotFound();
    const page = await loading;
    if (signal.aborted) return;
    newMain(route.module.split("/").at(-1));
    const rendering = page.show(main, route.params, { me, can, signal, query, go, setTitle });
    focusHeading();
    await rendering;
    showToScore(signal).catch(() => {}); // The page works without it.
  } catch (error) {
    if (signal.aborted || error.status === 401) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    showFailure(error);
  }
  if (!signal.aborted) focusHeading();
}

async function showSignIn(query, signal) {
  me = null;
  showFrame();
  const page = await load("sign_in");
  if (signal.aborted) return;
  newMain("sign_in");
  await page.show(main, {}, { query, go, setTitle });
}

function showNotFound() {
  newMain("missing");
  setTitle(t("errors.missingTitle"));
  fill(main, h("div", { class: "card" }, h("h1", { tabindex: "-1" }, t("errors.missingTitle")), h("p", {}, t("errors.missing"))));
  focusHeading();
}

function showFailure(error) {
  newMain("failed");
  setTitle(describeError(error)[0]);
  fill(main, h("div", { class: "card" }, errorNotice(error, show, { heading: "h1" })));
}

/** Navigate to a page: `go("/todo")`. `replace` replaces the current history entry. */
function go(path, { replace = false } = {}) {
  hasNavigated = true;
  if (replace) {
    history.replaceState(null, "", `#${path}`);
    show();
  } else location.hash = path;
}

function setTitle(title) {
  document.title = title ? `${title} · Proofstone` : "Proofstone";
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
api.signedOut.addEventListener("signed-out", ({ detail }) => {
  // The next person to sign in must not be sent to the page that was loading.
  if (isSigningOut) return;
  if (me) toast(describeError(detail).join(". "));
  goToSignIn();
});
// All tabs in a browser share one sign-in.
signedIn.addEventListener("message", ({ data }) => {
  if (!me || data === api.callerId(me)) return;
  me = null;
  show();
});
// Show errors that the page does not handle.
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  toastError(event.reason);
});
addEventListener("hashchange", () => {
  hasNavigated = true;
  show();
});
show();
