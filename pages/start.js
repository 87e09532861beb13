// The page behind an invitation link: key (after the `#`), consent, start. `workspace.js` handles a started session.

import { fetchJson, fill, formatTime, formatZone, showPart, showState } from "./common.js";
import { closeWorkspace, openWorkspace, showClosed } from "./workspace.js";

const KEY_PATTERN = /^PST-[A-Z0-9]{4}-[A-Z0-9]{4}$/;
const CLOSED_PARTS = { completed: "completed", hired: "completed", expired: "over" };
const COPIED_MS = 2000;

let key = "";
let invitation = {};

async function open() {
  closeWorkspace();
  key = location.hash.slice(1).trim().toUpperCase();
  if (!KEY_PATTERN.test(key)) return showState("no-key");
  fill({ key });
  showState("loading");
  const { status, body } = await fetchJson("/v1/candidate/consent", { headers: { "X-API-Key": key } });
  if (status === 404) return showState("unknown");
  if (status === 410) return showState("expired");
  if (status !== 200) return showState("offline");
  invitation = body;
  fillInvitation();
  await showProgress();
  return showState("assessment");
}

function fillInvitation() {
  const { assessmentTitle, orgName, timeLimitMinutes, expiresAt, disclosure } = invitation;
  document.title = `${assessmentTitle} · ${orgName}`;
  const limit = timeLimitMinutes ? formatMinutes(timeLimitMinutes) : "None";
  fill({ title: assessmentTitle, org: orgName, limit, clock: clockSentence(limit) });
  fill({ expiry: `${formatTime(expiresAt)} (${formatFromNow(expiresAt)})`, zone: formatZone(expiresAt) });
  showPart("limited", Boolean(timeLimitMinutes));
  for (const list of document.querySelectorAll("[data-list]")) {
    list.replaceChildren(...disclosure[list.dataset.list].map(listItem));
  }
  showPart("terms", Boolean(disclosure.tosUrl));
  if (disclosure.tosUrl) document.querySelector("[data-terms]").href = disclosure.tosUrl;
}

async function showProgress() {
  const progress = CLOSED_PARTS[invitation.status] ?? (invitation.status === "active" ? "active" : "before");
  for (const part of ["before", "active", "completed", "over"]) showPart(part, part === progress);
  const agreed = invitation.alreadyConfirmed;
  showPart("disclosure", progress === "before" && !agreed);
  showPart("consent", progress === "before" && !agreed);
  showPart("ready", progress === "before" && agreed);
  showPart("client", progress === "active" || (progress === "before" && agreed));
  showPart("read-again", progress === "active" || (progress === "before" && agreed));
  showPart("workspace", progress === "active");
  showPart("submit", progress === "active");
  showPart("received", progress === "active");
  showPart("key", progress === "before" || progress === "active");
  showPart("countdown", false);
  showPart("submitted", false);
  if (progress === "active") await openWorkspace(key, open);
  if (progress === "completed" || progress === "over") await showClosed(key, open);
}

async function agree(event) {
  event.preventDefault();
  const body = JSON.stringify({ key, disclosureHash: invitation.disclosureHash });
  const headers = { "Content-Type": "application/json" };
  const { status } = await fetchJson("/v1/candidate/consent", { method: "POST", headers, body });
  showPart("failed", status !== 200 && status !== 409);
  if (status === 409) return showChangedDisclosure();
  if (status !== 200) return undefined;
  invitation.alreadyConfirmed = true;
  await showProgress();
  return document.querySelector("[data-focus-ready]").focus();
}

/** Redeem the key. Another window may have done so already. */
async function start(event) {
  const button = event.currentTarget;
  button.disabled = true;
  const headers = { "Content-Type": "application/json" };
  const { status } = await fetchJson("/v1/candidate/redeem", { method: "POST", headers, body: JSON.stringify({ key }) });
  button.disabled = false;
  showPart("start-failed", status !== 200 && status !== 409);
  if (status !== 200 && status !== 409) return;
  await open();
  document.querySelector("[data-focus-workspace]").focus();
}

async function showChangedDisclosure() {
  document.querySelector("[data-consent]").reset();
  await open();
  showPart("outdated", true);
}

async function copy(event) {
  const button = event.currentTarget;
  const copied = await copyText(button.closest(".copyable").querySelector("pre, code"));
  button.textContent = copied ? "Copied" : "Press Ctrl+C";
  document.querySelector("[data-announcement]").textContent = copied ? "Copied." : "Selected.";
  setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
}

/** Copy the element's text. The clipboard API needs HTTPS; without it, select the text and run the copy command. */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

function chooseShell(shell) {
  document.body.dataset.shell = shell;
  const choice = document.querySelector(`input[name=shell][value=${shell}]`);
  if (choice) choice.checked = true;
}

function listItem(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

function clockSentence(limit) {
  if (limit === "None") return "Your session starts when you press Start. There is no time limit.";
  return `Your session and the clock start when you press Start. You then have ${limit}.`;
}

function formatMinutes(minutes) {
  const parts = [[Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]].filter(([number]) => number > 0);
  return parts.map(([number, noun]) => `${number} ${noun}${number === 1 ? "" : "s"}`).join(" ");
}

function formatFromNow(text) {
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
document.querySelector("[data-start]").addEventListener("click", start);
document.querySelector("[data-key-form]").addEventListener("submit", openKey);
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", copy);
for (const choice of document.querySelectorAll("input[name=shell]")) {
  choice.addEventListener("change", () => chooseShell(choice.value));
}
addEventListener("hashchange", open);
chooseShell(/windows/i.test(navigator.userAgent) ? "powershell" : "posix");
open();
