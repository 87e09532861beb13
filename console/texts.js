// Every text of the console, by page. A translation is another file with the same members.

const texts = {
  common: {
    loading: "Loading …",
    tryAgain: "Try again",
    save: "Save",
    cancel: "Cancel",
    undo: "Undo",
    none: "None",
    candidate: "Candidate …{id}",
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
    total: { one: "{n} thing waits for you, the oldest first.", other: "{n} things wait for you, the oldest first." },
    doneTitle: "All done",
    done: "Every finished session is scored or decided, all messages arrived, and no key is about to expire.",
    toAssessments: "Go to the assessments",
    readOnlyTitle: "Nothing for you to do",
    readOnly: "Your role reads only. You can open every assessment and every session.",
    nothing: "Nothing under: {lists}.",
    more: { one: "Show {n} more", other: "Show {n} more" },
    further: { one: "And {n} more. It is listed once the ones above are done.", other: "And {n} more. They are listed once the ones above are done." },
    unscored: { title: "To score", text: "Finished sessions without a decision that you have not scored." },
    disagreements: { title: "Disagreements", text: "Reviewers are two levels or more apart on a criterion. Talk about it, then revise or decide." },
    failedMessages: { title: "Messages not delivered", text: "These candidates have not received their invitation or reminder." },
    expiringKeys: { title: "Invitations about to expire", text: "Candidates who have not started and whose key expires within three days." },
    erasureRequests: { title: "Requests for erasure", text: "Candidates who asked to have their data erased." },
    failingWebhooks: { title: "Failing webhooks", text: "Other systems that do not receive events." },
    closed: "finished {time}",
    queued: "sent {time}",
    expires: "expires {time}",
    asked: "asked {time}",
    failing: "failing since {time}",
    score: "Score",
    discuss: "Discuss",
    retry: "Send again",
    retried: "The message to {name} will be sent again in a moment.",
    extend: "Extend",
    extendTitle: "Extend the invitation of {name}",
    extendText: "The key expires on {time}. No message is sent.",
    extendDays: "Days",
    extendHint: "Added to the current expiry, 1 to 365.",
    extended: "{name} can start until {time}.",
    erase: "Erase data",
    eraseTitle: "Erase the data of {name}?",
    eraseText: "Name, address, record, submitted code and comments of this candidate of “{title}” are deleted for good. Numbers without a name stay in the statistics. You get no way back.",
    eraseAction: "Erase for good",
    erased: "The data of {name} was erased.",
    openWebhook: "See what fails",
    unknownError: "The reason is unknown.",
    kinds: { invitation: "Invitation", reminder: "Reminder" },
    disabled: { gone: "Disabled, because the receiver said that it is gone.", failing: "Disabled after days of failures.", paused: "" },
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
