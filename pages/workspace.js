// A started session: time left, tools, received events, and submission.

import { fetchJson, fill, formatClock, formatTime, showPart } from "./common.js";

const POLL_MS = 10_000;
const TICK_MS = 1000;
const UPLOAD_TIMEOUT_MS = 15 * 60 * 1000;
const NO_EVENTS_WARNING_MS = 3 * 60 * 1000;
const MAX_ZIP_BYTES = 128 * 1024 * 1024;
const TOOLS_WITH_OWN_ACCOUNT = ["claude"];
const TOOL_NAMES = { "claude-code": "Claude Code", codex: "Codex", opencode: "opencode" };

let key = "";
let onEnd = () => {};
let state = null;
let clockOffsetMs = 0;
let timers = [];

/** Show the key's workspace and keep it up to date. Calls `onSessionEnd` when the session closes. */
export async function openWorkspace(candidateKey, onSessionEnd) {
  closeWorkspace();
  key = candidateKey;
  onEnd = onSessionEnd;
  timers = [setInterval(() => document.hidden || load(), POLL_MS), setInterval(showTime, TICK_MS)];
  await load();
}

/** Show a closed session: received events, the submission, and the upload form if a late submission is possible. */
export async function showClosed(candidateKey, onSubmission) {
  closeWorkspace();
  const { status, body } = await fetchJson("/v1/candidate/workspace", { headers: { "X-API-Key": candidateKey } });
  if (status !== 200) return;
  [key, onEnd, state] = [candidateKey, onSubmission, body];
  setClock(body);
  const isLate = body.status === "expired" && !body.submission && serviceTime() < new Date(body.submissionClosesAt);
  fill({ submissionClosesAt: formatClock(body.submissionClosesAt) });
  showPart("late", isLate);
  showPart("too-late", !isLate);
  showPart("submit", isLate);
  showPart("received", Boolean(body.lastReceivedAt));
  showReceived();
  showSubmission();
}

export function closeWorkspace() {
  for (const timer of timers) clearInterval(timer);
  timers = [];
  key = "";
  state = null;
}

async function load() {
  const requestKey = key;
  const { status, body } = await fetchJson("/v1/candidate/workspace", { headers: { "X-API-Key": requestKey } });
  if (requestKey !== key) return;
  showPart("stale", status !== 200);
  if (status !== 200) return;
  const isFirst = state === null;
  state = body;
  setClock(body);
  if (body.status !== "active") {
    closeWorkspace();
    onEnd();
    return;
  }
  if (isFirst) showTools();
  showTime();
  showReceived();
  showSubmission();
}

function setClock({ respondedAt }) {
  clockOffsetMs = new Date(respondedAt) - Date.now();
}

function serviceTime() {
  return Date.now() + clockOffsetMs;
}

function showTime() {
  if (state?.status !== "active") return;
  const { endsAt, closesAt, startedAt, lastReceivedAt } = state;
  const leftMs = endsAt ? new Date(endsAt) - serviceTime() : Infinity;
  const hasNoEvents = !lastReceivedAt && serviceTime() - new Date(startedAt) > NO_EVENTS_WARNING_MS;
  showPart("countdown", Boolean(endsAt));
  showPart("started", leftMs > 0 && !hasNoEvents);
  showPart("time-is-up", leftMs <= 0);
  showPart("nothing", hasNoEvents);
  if (endsAt) fill({ left: formatDuration(Math.max(0, leftMs)), ends: formatTime(endsAt), closes: formatClock(closesAt) });
}

/** `1:09:05`, or `9:05` for less than an hour. */
function formatDuration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const units = parts[0] ? parts : parts.slice(1);
  return units.map((number, index) => String(number).padStart(index ? 2 : 1, "0")).join(":");
}

function showTools() {
  const tools = new Map(state.tools.map((tool) => [tool.name, tool]));
  for (const row of document.querySelectorAll("[data-tool]")) row.hidden = !tools.has(row.dataset.tool);
  for (const name of TOOLS_WITH_OWN_ACCOUNT) {
    const usesOwnAccount = tools.has(name) && !tools.get(name).hasModel;
    document.querySelector(`[data-tool-own="${name}"]`).hidden = !usesOwnAccount;
  }
  showPart("no-tools", tools.size === 0);
  document.querySelector("[data-models]").replaceChildren(...state.models.map(modelItem));
}

function modelItem({ provider, baseUrl }) {
  const [item, code] = [document.createElement("li"), document.createElement("code")];
  code.textContent = baseUrl;
  item.append(provider === "anthropic" ? "Anthropic: " : "OpenAI: ", code);
  return item;
}

function showReceived() {
  const { received, lastReceivedAt } = state;
  showPart("nothing-yet", !lastReceivedAt);
  showPart("arrived", Boolean(lastReceivedAt));
  if (lastReceivedAt) fill({ last: formatRelative(lastReceivedAt) });
  document.querySelector("[data-received]").replaceChildren(...received.map(receivedRow));
}

function receivedRow({ tool, prompts, commands, changes }) {
  const [row, heading] = [document.createElement("tr"), document.createElement("th")];
  heading.scope = "row";
  heading.textContent = TOOL_NAMES[tool] ?? tool;
  row.append(heading);
  for (const count of [prompts, commands, changes]) row.insertCell().textContent = count;
  return row;
}

function formatRelative(timestamp) {
  const seconds = Math.max(0, Math.round((serviceTime() - new Date(timestamp)) / 1000));
  const format = new Intl.RelativeTimeFormat("en-GB");
  if (seconds < 60) return format.format(-seconds, "second");
  if (seconds < 3600) return format.format(-Math.floor(seconds / 60), "minute");
  return format.format(-Math.floor(seconds / 3600), "hour");
}

function showSubmission() {
  const { submission, status } = state;
  showPart("submitted", Boolean(submission));
  showPart("still-open", Boolean(submission) && status === "active");
  if (!submission) return;
  fill({ submittedAt: formatTime(submission.receivedAt), submissionSize: formatBytes(submission.size) });
}

function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const [button, file] = [form.querySelector("button"), form.archive.files[0]];
  button.disabled = true;
  showPart("submit-failed", false);
  showPart("sending", true);
  const error = await uploadAndComplete(file);
  showPart("sending", false);
  button.disabled = false;
  if (error) {
    fill({ submitError: error });
    showPart("submit-failed", true);
    return;
  }
  form.reset();
  await load();
}

/** Upload the file and complete the session. Returns an error message, or "". */
async function uploadAndComplete(file) {
  if (file.size > MAX_ZIP_BYTES) return "The file is larger than 128 MiB. Leave out files that can be built or downloaded.";
  const headers = { "X-API-Key": key, "Content-Type": "application/zip" };
  const options = { method: "PUT", headers, body: file, timeoutMs: UPLOAD_TIMEOUT_MS };
  const uploaded = await fetchJson("/v1/candidate/submission", options);
  if (uploaded.status !== 200) return errorMessage(uploaded, "We could not send your file. Please try again.");
  const body = JSON.stringify({ key, sessionId: state.sessionId });
  const jsonHeaders = { "Content-Type": "application/json" };
  const completed = await fetchJson("/v1/candidate/complete", { method: "POST", headers: jsonHeaders, body });
  if (completed.status === 200) return "";
  return errorMessage(completed, "Your file was sent, but your session is still open. Please try again.");
}

function errorMessage({ body }, fallback) {
  return typeof body.error === "string" ? body.error : fallback;
}

function onDrop(event) {
  event.preventDefault();
  event.currentTarget.classList.remove("over");
  if (event.dataTransfer.files.length === 1) event.currentTarget.archive.files = event.dataTransfer.files;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timers.length) load();
});
const form = document.querySelector("[data-submission]");
form.addEventListener("submit", submit);
form.addEventListener("drop", onDrop);
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
