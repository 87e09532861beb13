// The page behind an invitation's link: from the key after the `#` to the consent to the command.

import { ask, fill, moment, showPart, showState, zone } from "./common.js";

const KEY_FORM = /^PST-[A-Z0-9]{4}-[A-Z0-9]{4}$/;
const OVER = { completed: "completed", hired: "completed", expired: "over" };
const COPIED_MS = 2000;

let key = "";
let invitation = {};

async function open() {
  key = location.hash.slice(1).trim().toUpperCase();
  if (!KEY_FORM.test(key)) return showState("no-key");
  fill({ key });
  showState("loading");
  const { status, body } = await ask("/v1/candidate/consent", { headers: { "X-API-Key": key } });
  if (status === 404) return showState("unknown");
  if (status === 410) return showState("expired");
  if (status !== 200) return showState("offline");
  invitation = body;
  fillIn();
  showProgress();
  return showState("assessment");
}

function fillIn() {
  const { assessmentTitle, orgName, timeLimitMinutes, expiresAt, disclosure } = invitation;
  document.title = `${assessmentTitle} · ${orgName}`;
  const limit = timeLimitMinutes ? inWords(timeLimitMinutes) : "None";
  fill({ title: assessmentTitle, org: orgName, limit, clock: clock(limit) });
  fill({ expiry: `${moment(expiresAt)} (${fromNow(expiresAt)})`, zone: zone(expiresAt) });
  showPart("limited", Boolean(timeLimitMinutes));
  for (const list of document.querySelectorAll("[data-list]")) {
    list.replaceChildren(...disclosure[list.dataset.list].map(item));
  }
  showPart("terms", Boolean(disclosure.tosUrl));
  if (disclosure.tosUrl) document.querySelector("[data-terms]").href = disclosure.tosUrl;
  for (const command of document.querySelectorAll("[data-command]")) putKeyIn(command);
}

function putKeyIn(command) {
  const placeholder = command.dataset.command;
  if (placeholder) command.textContent = command.textContent.replace(placeholder, key);
  command.dataset.command = placeholder && key;
}

function showProgress() {
  const progress = OVER[invitation.status] ?? (invitation.status === "active" ? "active" : "before");
  for (const part of ["before", "active", "completed", "over"]) showPart(part, part === progress);
  const agreed = invitation.alreadyConfirmed;
  showPart("disclosure", progress === "before" && !agreed);
  showPart("consent", progress === "before" && !agreed);
  showPart("commands", progress === "before" && agreed);
  showPart("running", progress === "active");
  showPart("read-again", progress === "active" || (progress === "before" && agreed));
}

async function agree(event) {
  event.preventDefault();
  const body = JSON.stringify({ key, disclosureHash: invitation.disclosureHash });
  const headers = { "Content-Type": "application/json" };
  const { status } = await ask("/v1/candidate/consent", { method: "POST", headers, body });
  showPart("failed", status !== 200 && status !== 409);
  if (status === 409) return readAgain();
  if (status !== 200) return undefined;
  invitation.alreadyConfirmed = true;
  showProgress();
  return document.querySelector("[data-focus-commands]").focus();
}

async function readAgain() {
  document.querySelector("[data-consent]").reset();
  await open();
  showPart("outdated", true);
}

async function copy(event) {
  const button = event.currentTarget;
  const command = button.closest(".command").querySelector("pre");
  const copied = await put(command);
  button.textContent = copied ? "Copied" : "Press Ctrl+C";
  document.querySelector("[data-said]").textContent = copied ? "The command is copied." : "The command is selected.";
  setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
}

/** Into the clipboard. Where the address is not https there is only the older way, by way of a selection. */
async function put(command) {
  try {
    await navigator.clipboard.writeText(command.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(command);
    return document.execCommand("copy");
  }
}

function chooseShell(shell) {
  document.body.dataset.shell = shell;
  document.querySelector(`input[name=shell][value=${shell}]`).checked = true;
}

function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

function clock(limit) {
  const redeem = "The start command redeems your key";
  if (limit === "None") return `${redeem}, and from then on the session is recorded. There is no time limit.`;
  return `${redeem}, and that starts the clock, not before. You then have ${limit}.`;
}

function inWords(minutes) {
  const parts = [[Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]].filter(([number]) => number > 0);
  return parts.map(([number, noun]) => `${number} ${noun}${number === 1 ? "" : "s"}`).join(" ");
}

function fromNow(text) {
  const hours = (new Date(text) - Date.now()) / 3600000;
  const format = new Intl.RelativeTimeFormat("en-GB");
  return Math.abs(hours) < 48 ? format.format(Math.trunc(hours), "hour") : format.format(Math.trunc(hours / 24), "day");
}

function openKey(event) {
  event.preventDefault();
  location.hash = new FormData(event.currentTarget).get("key").trim();
}

document.querySelector("[data-retry]").addEventListener("click", open);
document.querySelector("[data-consent]").addEventListener("submit", agree);
document.querySelector("[data-key-form]").addEventListener("submit", openKey);
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", copy);
for (const choice of document.querySelectorAll("input[name=shell]")) {
  choice.addEventListener("change", () => chooseShell(choice.value));
}
addEventListener("hashchange", open);
chooseShell(/windows/i.test(navigator.userAgent) ? "powershell" : "posix");
open();
