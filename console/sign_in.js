// Sign in with an emailed link, a company account, or an API token; sign out.

import { HOME } from "./shared/address.js";
import * as api from "./shared/api.js";
import { field, onSubmit } from "./shared/dialogs.js";
import { fill, h, newId } from "./shared/dom.js";
import { deleteDrafts } from "./shared/drafts.js";
import { failure, loaded } from "./shared/states.js";
import { t } from "./shared/texts.js";

const RETURN_PAGE_KEY = "proofstone.wantedPage";
const RETURN_PAGE_LIFETIME_MS = 20 * 60 * 1000; // longer than an emailed link works
const BROWSER_GRANT = "psb_";

/** Sign out. Ignores a sign-in that has already ended. */
export async function signOut() {
  try {
    await api.remove("/v1/sign-in/session");
  } catch (error) {
    if (![401, 404].includes(error.status)) throw error;
  }
  deleteDrafts();
}

export async function show(main, params, { query, go, setTitle }) {
  setTitle(t("signIn.title"));
  if (query.has("to")) remember(query.get("to"));
  const [grant, error] = [query.get("grant"), query.get("error")];
  // Remove the secret from the address, the history and bookmarks.
  if (grant || error) history.replaceState(null, "", "#/sign-in");
  const enter = () => {
    const to = pageOf(recall());
    remember(null);
    go(to, { replace: true });
  };
  const card = h("div", { class: "card" });
  fill(main, card);
  const body = h("div");
  fill(card, h("h1", { tabindex: "-1" }, t("signIn.title")), body);
  if (grant) return showGrant(body, grant, enter, go);
  await loaded(body, () => api.get("/v1/sign-in"), (ways) => [error && oidcError(error), waysToSignIn(ways, enter)]);
}

/** Store the requested page, because an emailed link and a company account return without it. */
function remember(path) {
  try {
    if (path) localStorage.setItem(RETURN_PAGE_KEY, JSON.stringify({ path, at: Date.now() }));
    else localStorage.removeItem(RETURN_PAGE_KEY);
  } catch {
    // Without storage, people start at the assessments.
  }
}

function recall() {
  try {
    const { path, at } = JSON.parse(localStorage.getItem(RETURN_PAGE_KEY));
    return Date.now() - at < RETURN_PAGE_LIFETIME_MS ? path : null;
  } catch {
    return null;
  }
}

/** The console page to return to. */
function pageOf(path) {
  return /^\/(?!\/|sign-in)[\w/-]*(\?[\w=&%.+~-]*)?$/.test(path ?? "") ? path : HOME;
}

function waysToSignIn({ methods, httpsRequired, consoleUrl }, enter) {
  const address = new URL(consoleUrl);
  if (httpsRequired) return notice(t("signIn.httpsTitle"), t("signIn.https"));
  if (address.origin !== location.origin) {
    return notice(t("signIn.otherAddressTitle"), h("a", { href: consoleUrl }, t("signIn.otherAddress", { url: consoleUrl })));
  }
  const forms = [];
  if (methods.includes("oidc")) {
    const { root } = document.documentElement.dataset;
    forms.push(h("p", {}, h("a", { class: "primary", href: `${root}/sign-in/oidc` }, t("signIn.withOidc"))));
  }
  if (methods.includes("email")) forms.push(emailForm());
  forms.push(tokenForm(enter, methods.length === 1));
  return forms;
}

function notice(title, ...content) {
  return h("div", { class: "notice bad", role: "alert" }, h("strong", {}, title), h("p", {}, ...content));
}

const OIDC_ERRORS = ["limited", "unavailable", "state", "denied", "invalid", "unverified", "domain", "unknown"];

function oidcError(code) {
  const name = code.replace("oidc_", "");
  return notice(t("signIn.oidcTitle"), t(`signIn.oidc.${OIDC_ERRORS.includes(name) ? name : "invalid"}`));
}

function emailForm() {
  const email = h("input", { type: "email", name: "email", autocomplete: "email", required: true });
  const sent = () => h("div", { class: "notice good", role: "status" }, h("strong", {}, t("signIn.emailSentTitle")), h("p", {}, t("signIn.emailSent")));
  return form({
    content: field(t("signIn.email"), email, t("signIn.emailHint")),
    action: t("signIn.sendEmail"),
    save: () => api.post("/v1/sign-in/email", { email: email.value }),
    done: (element) => element.replaceWith(sent()),
  });
}

function tokenForm(enter, isOnlyWay) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  // Browsers expect a user name beside a password, and warn about a form without one.
  const name = h("input", { name: "username", autocomplete: "username", value: t("signIn.token"), hidden: true });
  const element = form({
    content: [name, field(t("signIn.token"), token, t("signIn.tokenHint"))],
    action: t("signIn.signIn"),
    save: () => api.post("/v1/sign-in", { token: token.value.trim() }),
    done: enter,
  });
  return isOnlyWay ? element : h("details", { class: "other-way" }, h("summary", {}, t("signIn.withToken")), element);
}

/** Build a form that calls `save`, shows its error, and calls `done(form)`. */
function form({ content, action, save, done }) {
  const message = h("div", { class: "notice bad", role: "alert", hidden: true });
  const submit = h("button", { type: "submit", class: "primary" }, action);
  const element = h("form", {}, content, message, h("div", { class: "actions" }, submit));
  const run = async () => {
    await save();
    done(element);
  };
  onSubmit(element, { submit, message, save: run });
  return element;
}

/**
 * Show the person that a grant signs in, with a button. Someone else may have sent the link, and a program that opens
 * email links must not use the grant.
 */
function showGrant(body, grant, enter, go) {
  const signIn = (personId) => loaded(body, () => redeem(grant, personId), ({ expired }) => (expired ? again(expired, go) : enter()));
  const load = () => Promise.all([redeem(grant), api.get("/v1/sign-in")]);
  return loaded(body, load, ([{ expired, choices }, { me }]) => {
    if (expired) return again(expired, go);
    const isOther = me && !choices.some(({ personId }) => personId === me.person?.id);
    // A company account's grant works only in the browser that requested it.
    if (grant.startsWith(BROWSER_GRANT) && choices.length === 1 && !isOther) {
      signIn(choices[0].personId);
      return null;
    }
    return [isOther && signedInAs(me), people(choices, signIn)];
  });
}

/** Redeem a grant: return the response, or `{expired: error}`. */
async function redeem(grant, personId) {
  try {
    return await api.post("/v1/sign-in", { grant, personId });
  } catch (error) {
    if (error.status !== 410) throw error;
    return { expired: error };
  }
}

function again(expired, go) {
  const button = h("button", { type: "button", class: "secondary", onclick: () => go("/sign-in", { replace: true }) }, t("signIn.again"));
  return [failure(expired, null), button];
}

function signedInAs(me) {
  const text = t("signIn.otherText", { name: me.person?.email ?? me.name, organization: me.orgName });
  return h("div", { class: "notice warn" }, h("strong", {}, t("signIn.otherTitle")), h("p", {}, text));
}

function people(choices, signIn) {
  const id = newId("people");
  const buttons = choices.map(({ personId, orgName, role }) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "primary", onclick: () => signIn(personId) }, t("signIn.signInTo", { organization: orgName })),
      h("span", { class: "quiet" }, t(`people.roles.${role}`)),
    ),
  );
  return [
    h("p", { id }, h("strong", {}, t("signIn.signsIn", { email: choices[0].email }))),
    h("p", {}, t("signIn.notYours")),
    h("ul", { class: "organizations", "aria-labelledby": id }, buttons),
  ];
}
