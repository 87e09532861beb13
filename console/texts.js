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
    back: "Assessments",
    edit: "Edit",
    invite: "Invite",
    export: "CSV of what is shown",
    compare: "Compare",
    compareHint: "Select two sessions to compare them.",
    compareLess: "{n} selected. Select two sessions to compare them.",
    search: "Search",
    searchHint: "Name, address or externalId",
    status: "Status",
    decision: "Decision",
    any: "Any",
    clear: "Clear filters",
    more: "Show more",
    count: { one: "{n} candidate", other: "{n} candidates" },
    countOf: { one: "{n} of {total} candidates", other: "{n} of {total} candidates" },
    countSoFar: "{n} candidates, loading more …",
    countFirst: "The first {n} candidates",
    emptyTitle: "No candidates yet",
    empty: "Invite the first ones. Each gets a key and, with an address, a mail with a link.",
    noneTitle: "No candidate matches",
    none: "Change the search or the filters.",
    selectRow: "Select {name}",
    anonymous: "Candidate {id}",
    candidate: "Candidate",
    started: "Started",
    finished: "Finished",
    tests: "Tests",
    testsPassed: "Passed",
    testsFailed: "Failed",
    score: "Score",
    scoreHint: "Weighted total of the means of the reviewers",
    reviewers: { one: "{n} reviewer", other: "{n} reviewers" },
    partly: "{n} of {all} criteria",
    integrity: "Record",
    integrityHint: "Kinds of facts that the latest check found. Most have innocent causes, too.",
    notChecked: "Not checked yet",
    nothingFound: "No irregularities",
    changedRecord: "Record was changed",
    actions: "Actions",
    expires: "key expires {when}",
    neverStarted: "did not start",
    inviteFailed: "invitation failed",
    inviteQueued: "invitation waits to be sent",
    erasureRequested: "asked for erasure",
    cohort: "Metrics of the sessions that ended",
    cohortOpen: { one: "{n} open session is in no number yet.", other: "{n} open sessions are in no number yet." },
    cohortEmpty: {
      one: "{n} session has no event: it counts with zeros and should not be compared.",
      other: "{n} sessions have no event: they count with zeros and should not be compared.",
    },
    cohortNone: "Metrics appear here when the first session has ended.",
    cohortFirst: "The plots show the first {n} candidates; medians and quartiles are those of all.",
    plot: "{label} of {n} sessions",
    plotText: "Median {median}, middle half from {lower} to {upper}, {minimum} to {maximum} in total. {direction}.",
    n: "n = {n}",
    statuses: { pending: "Pending", active: "Active", completed: "Completed", expired: "Expired", hired: "Hired" },
    decisions: { undecided: "Undecided", advanced: "Advanced", rejected: "Rejected", hired: "Hired" },
  },
  // -- metrics.js
  metrics: {
    none: "–",
    higher_is_better: "Higher is better",
    lower_is_better: "Lower is better",
    neither: "Says nothing about merit",
    durationMs: { label: "Duration", definition: "Time from the first to the last event." },
    promptCount: { label: "Prompts", definition: "Number of prompts." },
    commandFailRate: { label: "Failed commands", definition: "Share of the commands with a known exit code that failed." },
    verifyIntensity: { label: "Verifications per change", definition: "Tests, checks and builds per change of a file." },
    manualEditRatio: { label: "Changes by hand", definition: "Share of the attributed changes that were made by hand." },
    firstChangeLatencyMs: { label: "Time to first change", definition: "Time from the first event to the first change of a file." },
  },
  // -- facts.js
  facts: {
    event_changed: "Event was changed",
    event_missing: "Event is missing",
    event_inserted: "Event was inserted",
    tail_truncated: "Last events are missing",
    seal_broken: "Seal does not fit",
    column_changed: "Column of an event was changed",
    metrics_changed: "Metrics were changed",
    value_malformed: "Malformed value",
    session_changed: "Session was changed",
    seal_missing: "Final seal is missing",
    seal_key_unknown: "Unknown seal key",
    erased: "Data was erased",
    unsigned_event: "Unsigned event",
    time_far_from_arrival: "Time far from arrival",
    duration_too_long: "Duration too long",
    signature_invalid: "Invalid signature",
    chain_gap: "Gap between events",
    chain_fork: "Events of two computers or a restored copy",
    chain_restart: "Client was restarted",
    signature_repeated: "Repeated signature",
    chain_circle: "Events form a circle",
    clock_jump: "Clock went backwards",
    session_full: "Session was full",
    call_not_recorded: "Call not fully recorded",
    hooks_missing: "Hooks missing",
    call_not_proxied: "Call did not use the proxy",
    call_from_history: "Call known from history only",
    result_differs: "Results of channels differ",
    usage_differs: "Token counts differ",
    prompt_not_reported: "Prompt not reported",
    hand_in_unreadable: "Hand-in unreadable",
    base_unverified: "Start commit not verified",
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
