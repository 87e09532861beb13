// The console's frame: who is signed in, the navigation, and the page for an address.

import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { failure } from "./states.js";
import { t } from "./texts.js";

// A page is a module with `show(main, params, context)`; see docs/console.md.
const PAGES = [
  ["/assessments", "assessments"],
  ["/assessments/new", "assessment_form"],
  ["/assessments/:assessmentId", "board"],
  ["/assessments/:assessmentId/edit", "assessment_form"],
  ["/sessions/:sessionId", "report"],
  ["/sessions/:sessionId/score", "scoring"],
  ["/sessions/:sessionId/print", "print"],
  ["/compare/:firstId/:secondId", "compare"],
  ["/todo", "todo"],
  ["/organization", "organization"],
  ["/organization/:part", "organization"],
];
const NAVIGATION = [
  ["/assessments", "navigation.assessments"],
  ["/todo", "navigation.todo"],
  ["/organization", "navigation.organization"],
];
const HOME = "/assessments";

const main = document.querySelector("main");
let me = null;
let leaving = new AbortController();

/** The address after the `#`: its path, and its query. */
function currentAddress() {
  const [path, query] = location.hash.slice(1).split("?");
  return { path: path || HOME, query: new URLSearchParams(query) };
}

function match(path) {
  for (const [pattern, module] of PAGES) {
    const names = pattern.split("/");
    const parts = path.split("/");
    if (names.length !== parts.length) continue;
    if (!names.every((name, n) => name.startsWith(":") || name === parts[n])) continue;
    const params = names.flatMap((name, n) => (name.startsWith(":") ? [[name.slice(1), decodeURIComponent(parts[n])]] : []));
    return { module, params: Object.fromEntries(params) };
  }
  return null;
}

/** What the signed-in person may do: `read`, `write`, or `admin` for what only admins and services with `write` may. */
function may(scope) {
  if (scope === "admin") return me.scopes.includes("write") && (!me.person || me.person.role === "admin");
  return me.scopes.includes(scope);
}

function showFrame() {
  const { path } = currentAddress();
  const links = NAVIGATION.map(([to, text]) =>
    h("a", { href: `#${to}`, "aria-current": path.startsWith(to) ? "page" : null }, t(text)),
  );
  const navigation = document.querySelector("[data-navigation]");
  navigation.setAttribute("aria-label", t("navigation.label"));
  fill(navigation, links);
  navigation.hidden = !me;
  const who = document.querySelector("[data-who]");
  who.hidden = !me;
  if (!me) return;
  const name = me.person?.name ?? me.name;
  const signOut = h("button", { type: "button", class: "link", onclick: leave }, t("signIn.signOut"));
  fill(who, h("span", { class: "quiet" }, `${name} · ${me.orgName}`), signOut);
}

async function leave() {
  const { signOut } = await import("./sign_in.js");
  await signOut();
  me = null;
  location.hash = "";
  show();
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const { path, query } = currentAddress();
  try {
    if (path.startsWith("/sign-in")) return await showSignIn(query);
    me ??= await api.get("/v1/me", { signal });
    showFrame();
    const found = match(path);
    if (!found) return showMissing();
    const page = await import(`./${found.module}.js`);
    if (signal.aborted) return;
    scrollTo(0, 0);
    main.className = `page ${found.module}`;
    await page.show(main, found.params, { me, may, signal, query, go, setTitle });
    main.querySelector("h1")?.focus({ preventScroll: true });
  } catch (error) {
    if (signal.aborted || error.status === 401) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    fill(main, h("div", { class: "card" }, failure(error, show)));
  }
}

async function showSignIn(query) {
  me = null;
  showFrame();
  const page = await import("./sign_in.js");
  main.className = "page sign_in";
  await page.show(main, {}, { query, go, setTitle, isSignedIn: () => show() });
}

function showMissing() {
  setTitle(t("errors.missingTitle"));
  fill(main, h("div", { class: "card" }, h("h1", { tabindex: "-1" }, t("errors.missingTitle")), h("p", {}, t("errors.missing"))));
}

/** Go to a page: `go("/todo")`. `replace` changes the address without a new entry in the history. */
function go(path, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", `#${path}`);
    show();
  } else location.hash = path;
}

function setTitle(title) {
  document.title = title ? `${title} · Proofstone` : "Proofstone";
}

document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
api.signedOut.addEventListener("signed-out", () => {
  const back = currentAddress().path;
  if (!back.startsWith("/sign-in")) go(`/sign-in?to=${encodeURIComponent(back)}`, { replace: true });
});
addEventListener("hashchange", show);
show();
