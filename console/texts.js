// Every text of the console, by page. A translation is another file with the same members.

const texts = {
  common: {
    loading: "Loading …",
    tryAgain: "Try again",
    save: "Save",
    cancel: "Cancel",
    undo: "Undo",
    none: "None",
  },
  errors: {
    title: "That did not work",
    page: "This page has a fault. Reload it; if it happens again, tell whoever runs the service.",
    unreachableTitle: "Could not reach the service",
    unreachable: "Check your connection and try again.",
    forbiddenTitle: "You may not do this",
    missingTitle: "Not found",
    missing: "It does not exist, was deleted, or belongs to another organization.",
  },
  navigation: {
    label: "Pages",
    assessments: "Assessments",
    todo: "To do",
    organization: "Organization",
  },
  // -- sign_in.js
  signIn: {
    signOut: "Sign out",
    title: "Sign in",
    signIn: "Sign in",
    email: "Email address",
    emailHint: "You get a link that signs you in. It works once, for 15 minutes.",
    sendMail: "Email me a link",
    mailSentTitle: "Check your mail",
    mailSent: "If this address belongs to a member of a hiring team, a link is on its way. It works once, for 15 minutes.",
    token: "API token",
    tokenHint: "For a first start: the token that the service printed, or one of an administrator. It starts with psk_live_.",
    withToken: "Use an API token instead",
    linkOpened: "Your link is ready. Continue to sign in to this browser for 12 hours.",
    again: "Sign in another way",
    choose: "Which organization?",
    withOidc: "Sign in with your company account",
    oidcTitle: "Could not sign in with your company account",
    oidc: {
      unavailable: "The provider of the accounts did not respond. Try again later, or sign in another way.",
      state: "This attempt was started in another window, or took more than 10 minutes. Try again.",
      denied: "The provider of the accounts did not confirm who you are. Try again, or sign in another way.",
      invalid: "The answer of the provider of the accounts was not valid. Try again, or tell whoever runs this service.",
      unverified: "Your account has no verified email address.",
      domain: "Accounts of this domain may not sign in here.",
      unknown: "Nobody with your email address has been added here. Ask an administrator of your organization.",
    },
    httpsTitle: "Signing in needs https",
    https: "This service has a plain http address, where a sign-in could be read by others. Ask whoever runs it to set up https.",
    otherAddressTitle: "The console has another address",
    otherAddress: "Open {url}",
  },
  // -- assessments.js, assessment_form.js
  assessments: {
    title: "Assessments",
  },
  // -- board.js
  board: {
    title: "Candidates",
  },
  // -- plots.js, table.js
  plots: {
    asTable: "Show as a table",
  },
  // -- invite.js, candidate_actions.js
  invite: {
    title: "Invite candidates",
  },
  // -- report.js and its parts
  report: {
    title: "Session",
  },
  // -- scoring.js
  scoring: {
    title: "Score",
  },
  // -- compare.js
  compare: {
    title: "Compare",
  },
  // -- todo.js
  todo: {
    title: "To do",
  },
  // -- organization.js
  organization: {
    title: "Organization",
  },
  // -- print.js
  print: {
    title: "Report",
  },
};

const plurals = new Intl.PluralRules("en");

/**
 * A text: `t("board.found", {n: 3})`. `{n}` in it is replaced by the value; a text with the members `one` and `other` is
 * chosen by `n`.
 */
export function t(path, values = {}) {
  let text = path.split(".").reduce((texts_, name) => texts_?.[name], texts);
  if (text?.other !== undefined) text = text[plurals.select(values.n)] ?? text.other;
  if (typeof text !== "string") throw new Error(`No text: ${path}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
