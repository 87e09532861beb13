// The workspace of a started session: time left, tools, received events, submission.

import { fetchJson, fill, formatClock, formatTime, showPart } from "./common.js";

const POLL_MS = 10_000;
const TICK_MS = 1000;
const UPLOAD_TIMEOUT_MS = 15 * 60 * 1000;
const SILENCE_MS = 3 * 60 * 1000;
const MAX_ZIP_BYTES = 128 * 1024 * 1024;
const OWN_MODEL = ["claude"];
const TOOL_NAMES = { "claude-code": "Claude Code", codex: "Codex", opencode: "opencode" };

let key = "";
let onEnd = () => {};
let state = null;
let clockOffsetMs = 0;
let timers = [];

/** Show the key's workspace and keep it current; `ended` is called when the session closes. */
export async function openWorkspace(candidateKey, ended) {
  closeWorkspace();
  key = candidateKey;
  onEnd = ended;
  timers = [setInterval(() => document.hidden || load(), POLL_MS), setInterval(showTime, TICK_MS)];
  await load();
}

/** Show a closed session: received events, the submission, and the form while a late submission is possible. */
export async function showClosed(candidateKey, submitted) {
  closeWorkspace();
  const { status, body } = await fetchJson("/v1/candidate/workspace", { headers: { "X-API-Key": candidateKey } });
  if (status !== 200) return;
  [key, onEnd, state] = [candidateKey, submitted, body];
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
  const asked = key;
  const { status, body } = await fetchJson("/v1/candidate/workspace", { headers: { "X-API-Key": asked } });
  if (asked !== key) return;
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
  const isSilent = !lastReceivedAt && serviceTime() - new Date(startedAt) > SILENCE_MS;
  showPart("countdown", Boolean(endsAt));
  showPart("started", leftMs > 0 && !isSilent);
  showPart("time-is-up", leftMs <= 0);
  showPart("nothing", isSilent);
  if (endsAt) fill({ left: formatDuration(Math.max(0, leftMs)), ends: formatTime(endsAt), closes: formatClock(closesAt) });
}

/** `1:09:05`, or `9:05` below an hour. */
function formatDuration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((number, index) => String(number).padStart(index ? 2 : 1, "0")).join(":");
}

function showTools() {
  const tools = new Map(state.tools.map((tool) => [tool.name, tool]));
  for (const row of document.querySelectorAll("[data-tool]")) row.hidden = !tools.has(row.dataset.tool);
  for (const name of OWN_MODEL) {
    const isOwn = tools.has(name) && !tools.get(name).hasModel;
    document.querySelector(`[data-tool-own="${name}"]`).hidden = !isOwn;
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

function formatRelative(text) {
  const seconds = Math.max(0, Math.round((serviceTime() - new Date(text)) / 1000));
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
  const error = await sendAndComplete(file);
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

/** Upload the file and complete the session; returns a message if it fails. */
async function sendAndComplete(file) {
  if (file.size > MAX_ZIP_BYTES) return "The file is larger than 128 MiB. Leave out files that can be built or downloaded.";
  const headers = { "X-API-Key": key, "Content-Type": "application/zip" };
  const upload = { method: "PUT", headers, body: file, timeoutMs: UPLOAD_TIMEOUT_MS };
  const sent = await fetchJson("/v1/candidate/submission", upload);
  if (sent.status !== 200) return messageOf(sent, "We could not send your file. Please try again.");
  const body = JSON.stringify({ key, sessionId: state.sessionId });
  const jsonHeaders = { "Content-Type": "application/json" };
  const completed = await fetchJson("/v1/candidate/complete", { method: "POST", headers: jsonHeaders, body });
  if (completed.status === 200) return "";
  return messageOf(completed, "Your file was sent, but your session is still open. Please try again.");
}

function messageOf({ body }, fallback) {
  return typeof body.error === "string" ? body.error : fallback;
}

function drop(event) {
  event.preventDefault();
  event.currentTarget.classList.remove("over");
  if (event.dataTransfer.files.length === 1) event.currentTarget.archive.files = event.dataTransfer.files;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timers.length) load();
});
const form = document.querySelector("[data-submission]");
form.addEventListener("submit", submit);
form.addEventListener("drop", drop);
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
