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
    name: "Name",
    value: "Value",
    median: "Median {value}",
    choose: "{label}: choose a value with the arrow keys",
  },
  table: {
    rows: { one: "{n} row", other: "{n} rows" },
    select: "Select",
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
    heading: "Score {name}",
    hiddenName: "a candidate (name hidden until you have scored)",
    report: "Report",
    record: "Record",
    pick: "Choose an event to add it as evidence to the criterion that you are scoring.",
    moreEvents: "Show more events",
    noEventsTitle: "No events",
    noEvents: "The candidate's tools have not recorded anything yet.",
    noRubricTitle: "No rubric",
    noRubric: "Set a rubric in the assessment to score its sessions.",
    readOnly: "You can read scores. Only reviewers and admins can score.",
    version: "version {n}",
    progress: "You have scored {done} of {n} criteria.",
    alone: "Each criterion is saved on its own. You see the others' scores once you have scored all criteria.",
    total: "Total {total} of {highest}, weighted over the reviewers' means.",
    comment: "Comment",
    evidence: "Evidence",
    remove: "Remove",
    removeEvidence: "Remove the event {id} from the evidence",
    added: "Added as evidence to “{title}”. Save the score to keep it.",
    save: "Save score",
    revise: "Save revision",
    reason: "Reason",
    revisionReason: "Why you revise your score. The earlier one stays in the history.",
    unsaved: "Not saved yet",
    saved: "Saved",
    unscored: "Not scored yet",
    isSaved: "Your score of “{title}” is saved.",
    withdraw: "Withdraw",
    withdrawTitle: "Withdraw your score of “{title}”",
    withdrawHint: "It no longer counts, and stays in the history.",
    withdrawn: "withdrawn",
    withdrawnFor: "withdrawn: {reason}",
    mean: "Mean {mean}, spread {spread}",
    discuss: "To discuss: the scores are two levels or more apart.",
    history: { one: "History: 1 score", other: "History: {n} scores" },
    decision: "Decision",
    decide: "Decide",
    decisionReason: "Colleagues see it; the candidate does not.",
    decisions: { undecided: "Undecided", advanced: "Advanced", rejected: "Rejected", hired: "Hired" },
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
