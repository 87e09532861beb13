// Invite candidates: parse and check a list, then send invitations in batches that can be retried.

import * as api from "../shared/api.js";
import { copyText } from "../shared/clipboard.js";
import { decode, isEmailAddress, readPeople } from "../shared/csv.js";
import { field, showDialog } from "../shared/dialogs.js";
import { fill, h, newId } from "../shared/dom.js";
import { issueKeys, keyLink } from "./invite_batches.js";
import { describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";

const DAY_MS = 86_400_000;
const MAX_COUNT = 500;
const MAX_DAYS = 365;
const MAX_NAMES = 5;
const EXAMPLE = "name,email,externalId\nAlice Liddell,alice@example.com,applicant-4711";

/** Open the dialog. Resolves when it is closed. Calls `onDone` if keys were created. */
export function invite(assessment, { onDone = () => {} } = {}) {
  const titleId = newId("invite");
  const body = h("div", { class: "invite-body" });
  const dialog = h("dialog", { class: "wide-dialog invite", "aria-labelledby": titleId }, h("h2", { id: titleId }, t("invite.dialogTitle", { title: assessment.title })), body);
  const context = { assessment, dialog, isBusy: false, isDone: false, text: "", options: { expiresInDays: assessment.expiresInDays }, existingIds: new Set(), ...steps() };
  dialog.addEventListener("cancel", (event) => context.isBusy && event.preventDefault());
  context.enter();
  return showDialog(dialog).then(() => context.isDone && onDone());

  function steps() {
    const go = (step) => (...values) => {
      fill(body, step(context, ...values));
      if (dialog.open) body.querySelector("textarea, h3, button")?.focus();
    };
    return { enter: go(enterStep), review: go(reviewStep), send: go(sendStep), withoutEmail: go(withoutEmailStep), links: go(linksStep) };
  }
}

// -- Step 1: paste a list

function enterStep(context) {
  const { assessment, dialog } = context;
  const input = h("textarea", { name: "people", rows: 9, spellcheck: "false", placeholder: EXAMPLE }, context.text);
  const file = h("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv,text/plain", onchange: readFile });
  const error = h("p", { class: "field-error", role: "alert", hidden: true });
  const next = h("button", { type: "submit", class: "primary" }, t("invite.check"));
  const form = h(
    "form",
    { onsubmit: check },
    field(t("invite.people"), input, t("invite.peopleHint")),
    error,
    field(t("invite.file"), file),
    expiryField(context),
    h(
      "div",
      { class: "actions" },
      next,
      cancelButton(dialog),
      h("button", { type: "button", class: "link more", onclick: () => context.withoutEmail() }, t("invite.withoutEmail")),
    ),
  );
  return form;

  async function readFile() {
    if (!file.files[0]) return;
    input.value = decode(await file.files[0].arrayBuffer());
    input.focus();
  }

  async function check(event) {
    event.preventDefault();
    context.text = input.value;
    context.options = readOptions(form);
    const people = readPeople(input.value);
    error.hidden = true;
    next.disabled = true;
    try {
      if (!people.length) throw new api.ApiError(400, { error: t("invite.noCandidates") });
      const existingKeys = await api.all(`/v1/assessments/${assessment.id}/keys`, "keys");
      context.existingIds = new Set(existingKeys.map(({ id }) => id));
      context.review(checkPeople(people, existingKeys));
    } catch (failure) {
      fill(error, failure.status === 400 ? failure.message : describeError(failure).join(". "));
      error.hidden = false;
      next.disabled = false;
      input.focus();
    }
  }
}

/** Read the options as request fields. */
function readOptions({ elements }) {
  return { expiresInDays: Number(elements.namedItem("expiresInDays").value) };
}

function expiryField(context) {
  const { reminderDaysBefore } = context.assessment;
  const result = h("span", { class: "quiet", role: "status" });
  const input = h("input", { type: "number", name: "expiresInDays", class: "short", min: 1, max: MAX_DAYS, required: true, value: context.options.expiresInDays, oninput: update });
  update();
  const element = field(t("invite.expiry"), input);
  element.append(" ", result);
  return element;

  function update() {
    const days = Number(input.value);
    const time = days >= 1 && days <= MAX_DAYS && formatDateTime(new Date(Date.now() + days * DAY_MS).toISOString());
    fill(result, time && t("invite.expiresAt", { time }), time && days <= reminderDaysBefore && ` ${t("invite.reminderDue", { n: reminderDaysBefore })}`);
  }
}

/**
 * Add `state`, `text` and `canInvite` to each person. `state` is `new`, `open`, `earlier`, `duplicate`, `noAddress` or
 * `invalid`.
 */
function checkPeople(people, existingKeys) {
  const keyByEmail = new Map();
  for (const key of existingKeys) {
    const email = key.candidateEmail?.toLowerCase();
    if (email) keyByEmail.set(email, preferOpen(keyByEmail.get(email), key));
  }
  const externalIds = new Set(existingKeys.map(({ externalId }) => externalId).filter(Boolean));
  const [lineByEmail, lineById] = [new Map(), new Map()];
  return people.map((person) => {
    const email = person.email.toLowerCase();
    const sameEmailLine = lineByEmail.get(email);
    const sameIdLine = lineById.get(person.externalId);
    const outcome = checkPerson(person, { sameEmailLine, sameIdLine, key: keyByEmail.get(email), isIdUsed: externalIds.has(person.externalId) });
    if (email && !lineByEmail.has(email)) lineByEmail.set(email, person.line);
    if (person.externalId && !lineById.has(person.externalId)) lineById.set(person.externalId, person.line);
    return { ...person, ...outcome };
  });
}

const isOpen = (key) => ["pending", "active"].includes(key.status);
const preferOpen = (first, second) => (first && isOpen(first) ? first : second);

function checkPerson({ email, externalId }, { sameEmailLine, sameIdLine, key, isIdUsed }) {
  if (email && !isEmailAddress(email)) return { state: "invalid", text: t("invite.states.invalid") };
  if (email && sameEmailLine) return { state: "duplicate", text: t("invite.states.duplicate", { line: sameEmailLine }) };
  if (externalId && sameIdLine) return { state: "invalid", text: t("invite.states.duplicateId", { line: sameIdLine }) };
  if (key && isOpen(key)) return { state: "open", text: t(`invite.states.${key.status}`) };
  if (externalId && isIdUsed) return { state: "invalid", text: t("invite.states.usedId") };
  if (key) return { state: "earlier", text: t("invite.states.earlier", { status: t(`invite.statuses.${key.status === "expired" && !key.sessionId ? "neverStarted" : key.status}`) }), canInvite: true };
  if (!email) return { state: "noAddress", text: t("invite.states.noAddress"), canInvite: true };
  return { state: "new", text: t("invite.states.new"), canInvite: true };
}

// -- Step 2: check the list

function reviewStep(context, people) {
  const selected = new Set(people.filter(({ state }) => state === "new"));
  const submit = h("button", { type: "button", class: "primary", onclick: () => context.send([...selected]) });
  const summary = h("p", { role: "status" });
  update();
  return [
    h("h3", { tabindex: "-1" }, t("invite.check")),
    summary,
    h(
      "div",
      { class: "scroll-region", tabindex: "0", role: "region", "aria-label": t("invite.check") },
      h(
        "table",
        { class: "people", role: "table" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["invite", "name", "email", "externalId", "outcome"].map((name) => h("th", { scope: "col", role: "columnheader" }, t(`invite.columns.${name}`))))),
        h("tbody", { role: "rowgroup" }, people.map(row)),
      ),
    ),
    h("p", { class: "quiet" }, t("invite.nothingSent")),
    h("div", { class: "actions" }, submit, h("button", { type: "button", class: "secondary", onclick: () => context.enter() }, t("invite.back")), cancelButton(context.dialog)),
  ];

  function row(person) {
    const label = t("invite.inviteOne", { name: person.name || person.email || person.line });
    const box = h("input", { type: "checkbox", "aria-label": label, checked: selected.has(person), disabled: !person.canInvite, onchange: () => toggle(person, box.checked) });
    return h(
      "tr",
      // Explicit roles, because a narrow window shows rows as blocks.
      { role: "row", class: person.canInvite ? null : "skipped" },
      h("td", { role: "cell", class: "pick" }, h("label", {}, box)),
      [person.name, person.email, person.externalId].map((text) => h("td", { role: "cell" }, text)),
      h("td", { role: "cell" }, h("span", { class: `verdict ${person.state}` }, person.text)),
    );
  }

  function toggle(person, isSelected) {
    if (isSelected) selected.add(person);
    else selected.delete(person);
    update();
  }

  function update() {
    fill(submit, t("invite.send", { n: selected.size }));
    submit.disabled = selected.size === 0;
    fill(summary, t("invite.summary", { n: people.length, skipped: people.length - selected.size }));
  }
}

// -- Step 3: progress and result

function sendStep(context, people) {
  const bar = h("progress", { max: people.length, value: 0, "aria-label": t("invite.sending") });
  const status = h("p", { role: "status" }, t("invite.sending"));
  const result = h("div", {});
  const run = issueKeys(context.assessment, people, context);
  send();
  return [h("h3", { tabindex: "-1" }, t("invite.sendTitle")), bar, status, result];

  async function send() {
    fill(result);
    bar.hidden = false;
    context.isBusy = true;
    await run.send((count) => {
      bar.value = count;
      fill(status, t("invite.progress", { n: count, total: people.length }));
    });
    bar.hidden = true;
    context.isBusy = false;
    context.isDone ||= run.keys.length > 0;
    const hasNoEmail = people.every(({ email }) => !email);
    if (hasNoEmail && !run.failed.length) return context.links(run.keys);
    fill(status, resultText(run));
    fill(result, failures(run), linksButton(), h("div", { class: "actions" }, run.canRetry() && h("button", { type: "button", class: "primary", onclick: send }, t("invite.retry")), closeButton(context.dialog, !run.canRetry())));
    return result.querySelector("button").focus();
  }

  /** Build a button that shows the links, also those in emails, which can be saved as files. */
  function linksButton() {
    const { keys } = run;
    return keys.length > 0 && h("button", { type: "button", class: "link", onclick: () => context.links(keys) }, t("invite.showLinks", { n: keys.length }));
  }
}

function resultText({ created, existing, failed }) {
  const parts = [
    [created, "created"],
    [existing, "existing"],
    [failed.length, "failed"],
  ];
  return parts.filter(([n]) => n > 0).map(([n, name]) => t(`invite.result.${name}`, { n })).join(" ");
}

function failures({ failed }) {
  if (!failed.length) return null;
  const byReason = Map.groupBy(failed, ({ reason }) => reason);
  const rows = [...byReason].map(([reason, group]) => h("li", {}, h("strong", {}, joinNames(group)), ` ${reason}`));
  return h("div", { class: "notice bad", role: "alert" }, h("p", {}, t("invite.failedTitle")), h("ul", {}, rows));
}

/** Join the first MAX_NAMES names, and add the number of further ones. */
function joinNames(group) {
  const names = group.map(({ person }) => person.email || person.name || person.externalId).filter(Boolean);
  const remaining = group.length - Math.min(names.length, MAX_NAMES);
  return [...names.slice(0, MAX_NAMES), remaining > 0 && t("invite.more", { n: remaining })].filter(Boolean).join(", ") + ":";
}

// -- Links without email

function withoutEmailStep(context) {
  const input = h("input", { type: "number", name: "count", class: "short", min: 1, max: MAX_COUNT, value: 1, required: true });
  const form = h(
    "form",
    { onsubmit: create },
    h("h3", { tabindex: "-1" }, t("invite.withoutEmail")),
    h("p", { class: "quiet" }, t("invite.withoutEmailHint")),
    field(t("invite.count"), input),
    expiryField(context),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, t("invite.createLinks")), h("button", { type: "button", class: "secondary", onclick: () => context.enter() }, t("invite.back"))),
  );
  return form;

  function create(event) {
    event.preventDefault();
    context.options = readOptions(form);
    context.send(Array.from({ length: Number(input.value) }, () => ({ email: "", name: "", externalId: "" })));
  }
}

function linksStep({ dialog }, keys) {
  const lines = keys.map((key) => [key.candidateName, keyLink(key)].filter(Boolean).join("\t"));
  const copyAll = h("button", { type: "button", class: "primary", onclick: () => copy(lines.join("\n"), copyAll) }, t("invite.copyAll"));
  return [
    h("h3", { tabindex: "-1" }, t("invite.linksTitle")),
    h("p", { class: "quiet" }, t("invite.linksHint")),
    h(
      "ul",
      { class: "key-list" },
      keys.map((key) => {
        const button = h("button", { type: "button", class: "copy", "aria-label": t("invite.copyLink", { key: key.key }), onclick: () => copy(keyLink(key), button) }, t("invite.copy"));
        return h("li", {}, h("code", {}, key.key), key.candidateName && h("span", {}, key.candidateName), button);
      }),
    ),
    h("div", { class: "actions" }, copyAll, closeButton(dialog, false)),
  ];
}

/** Copy text, and show the result on the button. */
async function copy(text, button) {
  fill(button, (await copyText(text)) ? t("invite.copied") : t("invite.notCopied"));
}

const cancelButton = (dialog) => h("button", { type: "button", class: "secondary", onclick: () => dialog.close() }, t("common.cancel"));
const closeButton = (dialog, isPrimary) => h("button", { type: "button", class: isPrimary ? "primary" : "secondary", onclick: () => dialog.close() }, t("common.close"));
