// The page that an invitation links to. Reads the key after the `#`, asks for consent, and starts the session.
// `workspace.js` handles a started session.

import { fetchJson, fill, formatTime, formatZone, showPart, showState } from "./common.js";
import { offerOwnData } from "./own_data.js";
import { closeWorkspace, openWorkspace } from "./workspace.js";

const KEY_PATTERN = /^PST-[A-Z0-9]{4}-[A-Z0-9]{4}$/;
const CLOSED_PARTS = { completed: "completed", expired: "over" };
const COPIED_LABEL_MS = 2000;

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
  offerOwnData(key);
  await showProgress();
  return showState("assessment");
}

function fillInvitation() {
  const { assessmentTitle, role, orgName, timeLimitMinutes, expiresAt, disclosure } = invitation;
  document.title = `${assessmentTitle} · ${orgName}`;
  const limit = timeLimitMinutes ? formatMinutes(timeLimitMinutes) : "None";
  fill({ title: assessmentTitle, role, org: orgName, limit, clock: describeClock(limit) });
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
  const { alreadyConfirmed: hasAgreed, consentRequired } = invitation;
  const asksForConsent = (progress === "before" && !hasAgreed) || (progress === "active" && consentRequired);
  showPart("consent-missing", consentRequired);
  showPart("disclosure", asksForConsent);
  showPart("consent", asksForConsent);
  showPart("ready", progress === "before" && hasAgreed);
  showPart("client", progress === "active" || (progress === "before" && hasAgreed));
  showPart("read-again", !asksForConsent && (progress === "active" || progress === "before"));
  showPart("workspace", progress === "active");
  showPart("key", progress === "before" || progress === "active");
  if (progress !== "before") await openWorkspace(key, invitation.status, open);
}

async function agree(event) {
  event.preventDefault();
  const body = JSON.stringify({ key, disclosureHash: invitation.disclosureHash });
  const headers = { "Content-Type": "application/json" };
  const { status } = await fetchJson("/v1/candidate/consent", { method: "POST", headers, body });
  showPart("failed", status !== 200 && status !== 409);
  if (status === 409) return showChangedDisclosure();
  if (status !== 200) return undefined;
  invitation = { ...invitation, alreadyConfirmed: true, consentRequired: false };
  await showProgress();
  const next = invitation.status === "active" ? "[data-focus-workspace]" : "[data-focus-ready]";
  return document.querySelector(next).focus();
}

/** Redeem the key. 409 means that another window has already started the session, 403 that the disclosure has changed. */
async function start(event) {
  const button = event.currentTarget;
  button.disabled = true;
  const headers = { "Content-Type": "application/json" };
  const { status } = await fetchJson("/v1/candidate/redeem", { method: "POST", headers, body: JSON.stringify({ key }) });
  button.disabled = false;
  // The key has expired or was revoked since.
  if (status === 404 || status === 410) return void (await open());
  if (status === 403) return void (await showChangedDisclosure());
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
  const isCopied = await copyText(button.closest(".copyable").querySelector("pre, code"));
  button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
  document.querySelector("[data-announcement]").textContent = isCopied ? "Copied." : "Selected.";
  setTimeout(() => (button.textContent = "Copy"), COPIED_LABEL_MS);
}

/** Copy an element's text. Without HTTPS, there is no clipboard API: select the text and run the copy command. */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

function selectShell(shell) {
  document.body.dataset.shell = shell;
  const choice = document.querySelector(`input[name=shell][value=${shell}]`);
  if (choice) choice.checked = true;
}

function listItem(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

function describeClock(limit) {
  if (limit === "None") return "Your session starts when you press Start. There is no time limit.";
  return `Your session and the clock start when you press Start. You then have ${limit}.`;
}

function formatMinutes(minutes) {
  const parts = [[Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]].filter(([number]) => number > 0);
  return parts.map(([number, noun]) => `${number} ${noun}${number === 1 ? "" : "s"}`).join(" ");
}

function formatFromNow(timestamp) {
  const hours = (new Date(timestamp) - Date.now()) / 3600000;
  const format = new Intl.RelativeTimeFormat("en-GB");
  if (Math.abs(hours) < 1) return format.format(Math.trunc(hours * 60), "minute");
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
  choice.addEventListener("change", () => selectShell(choice.value));
}
addEventListener("hashchange", open);
selectShell(/windows/i.test(navigator.userAgent) ? "powershell" : "posix");
open();
