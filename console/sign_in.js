// Sign in with an emailed link, a company account, or an API token; sign out.

import { HOME } from "./shared/url_state.js";
import * as api from "./shared/api.js";
import { field, saveForm } from "./shared/dialogs.js";
import { fill, h, newId } from "./shared/dom.js";
import { deleteDrafts } from "./shared/drafts.js";
import { errorNotice, renderAsync } from "./shared/states.js";
import { has, t } from "./shared/texts.js";

const RETURN_PAGE_KEY = "proofstone.returnPage";
const RETURN_PAGE_LIFETIME_MS = 20 * 60 * 1000; // longer than an emailed link is valid
const BROWSER_GRANT = "psb_";

/** Sign out. Succeeds if the sign-in has already ended. */
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
  if (query.has("to")) storeReturnPage(query.get("to"));
  const [grant, error] = [query.get("grant"), query.get("error")];
  // Keep the secret out of the browser history and bookmarks.
  if (grant || error) history.replaceState(null, "", "#/sign-in");
  const onSignedIn = () => {
    const path = returnPath(loadReturnPage());
    storeReturnPage(null);
    go(path, { replace: true });
  };
  const card = h("div", { class: "card" });
  fill(main, card);
  const body = h("div");
  fill(card, h("h1", { tabindex: "-1" }, t("signIn.title")), body);
  if (grant) return showGrant(body, grant, onSignedIn, go);
  await renderAsync(body, () => api.get("/v1/sign-in"), (signIn) => [error && oidcError(error), signInForms(signIn, onSignedIn)]);
  body.querySelector("input:not([hidden])")?.focus();
}

/** Store the page to return to: emailed links and company accounts do not preserve it. Null deletes it. */
function storeReturnPage(path) {
  try {
    if (path) localStorage.setItem(RETURN_PAGE_KEY, JSON.stringify({ path, at: Date.now() }));
    else localStorage.removeItem(RETURN_PAGE_KEY);
  } catch {
    // Without storage, sign-in leads to the assessments.
  }
}

function loadReturnPage() {
  try {
    const { path, at } = JSON.parse(localStorage.getItem(RETURN_PAGE_KEY));
    return Date.now() - at < RETURN_PAGE_LIFETIME_MS ? path : null;
  } catch {
    return null;
  }
}

/** Return the path if it is a console page, otherwise the home page. */
function returnPath(path) {
  return /^\/(?!\/|sign-in)[\w/-]*(\?[\w=&%.+~-]*)?$/.test(path ?? "") ? path : HOME;
}

function signInForms({ methods, httpsRequired, consoleUrl }, onSignedIn) {
  if (httpsRequired) return notice(t("signIn.httpsTitle"), t("signIn.https"));
  if (new URL(consoleUrl).origin !== location.origin) {
    return notice(t("signIn.otherAddressTitle"), h("a", { href: consoleUrl }, t("signIn.otherAddress", { url: consoleUrl })));
  }
  const forms = [];
  if (methods.includes("oidc")) {
    const { root } = document.documentElement.dataset;
    forms.push(h("p", {}, h("a", { class: "primary", href: `${root}/sign-in/oidc` }, t("signIn.withOidc"))));
  }
  if (methods.includes("email")) forms.push(emailForm());
  forms.push(tokenForm(onSignedIn, methods.length === 1));
  return forms;
}

function notice(title, ...content) {
  return h("div", { class: "notice bad", role: "alert" }, h("strong", {}, title), h("p", {}, ...content));
}

function oidcError(code) {
  const name = code.replace("oidc_", "");
  return notice(t("signIn.oidcTitle"), t(`signIn.oidc.${has(`signIn.oidc.${name}`) ? name : "invalid"}`));
}

function emailForm() {
  const email = h("input", { type: "email", name: "email", autocomplete: "email", required: true });
  const confirmation = () => h("div", { class: "notice good", role: "status" }, h("strong", {}, t("signIn.emailSentTitle")), h("p", {}, t("signIn.emailSent")));
  const save = async (form) => {
    await api.post("/v1/sign-in/email", { email: email.value });
    form.replaceWith(confirmation());
  };
  return saveForm({ content: field(t("common.emailAddress"), email, t("signIn.emailHint")), action: t("signIn.sendEmail"), save });
}

function tokenForm(onSignedIn, isOnlyMethod) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  // Browsers warn about a password form without a user name.
  const name = h("input", { name: "username", autocomplete: "username", value: t("signIn.token"), hidden: true });
  const save = async () => {
    await api.post("/v1/sign-in", { token: token.value.trim() });
    onSignedIn();
  };
  const element = saveForm({ content: [name, field(t("signIn.token"), token, t("signIn.tokenHint"))], action: t("signIn.title"), save });
  const focus = ({ target }) => target.open && token.focus();
  return isOnlyMethod ? element : h("details", { class: "other-way", ontoggle: focus }, h("summary", {}, t("signIn.withToken")), element);
}

/**
 * Ask for confirmation before a grant signs a person in: someone else may have sent the link, and programs that scan
 * email links must not redeem the grant.
 */
function showGrant(body, grant, onSignedIn, go) {
  const signIn = (personId) => renderAsync(body, () => redeem(grant, personId), ({ expired }) => (expired ? expiredNotice(expired, go) : onSignedIn()));
  const load = () => Promise.all([redeem(grant), api.get("/v1/sign-in")]);
  return renderAsync(body, load, ([{ expired, choices }, { me }]) => {
    if (expired) return expiredNotice(expired, go);
    const isOther = me && !choices.some(({ personId }) => personId === me.person?.id);
    // A company account's grant works only in the browser that requested it.
    if (grant.startsWith(BROWSER_GRANT) && choices.length === 1 && !isOther) {
      signIn(choices[0].personId);
      return null;
    }
    return [isOther && otherAccountNotice(me), accountChoices(choices, signIn)];
  });
}

/** Redeem a grant. Returns the response, or `{expired: error}`. */
async function redeem(grant, personId) {
  try {
    return await api.post("/v1/sign-in", { grant, personId });
  } catch (error) {
    if (error.status !== 410) throw error;
    return { expired: error };
  }
}

function expiredNotice(error, go) {
  const button = h("button", { type: "button", class: "secondary", onclick: () => go("/sign-in", { replace: true }) }, t("signIn.otherMethod"));
  return [errorNotice(error, null), button];
}

function otherAccountNotice(me) {
  const text = t("signIn.otherText", { name: me.person?.email ?? me.name, organization: me.orgName });
  return h("div", { class: "notice warn" }, h("strong", {}, t("signIn.otherTitle")), h("p", {}, text));
}

function accountChoices(choices, signIn) {
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
    h("p", { id }, h("strong", {}, t("signIn.signingInAs", { email: choices[0].email }))),
    h("p", {}, t("signIn.notYou")),
    h("ul", { class: "organizations", "aria-labelledby": id }, buttons),
  ];
}
