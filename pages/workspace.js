// A started session: time left, tools, received events, and submission.

import { fetchJson, fill, formatClock, formatTime, showPart } from "./common.js";

const POLL_MS = 10_000;
const TICK_MS = 1000;
const UPLOAD_TIMEOUT_MS = 15 * 60 * 1000;
const MAX_SUBMISSION_BYTES = 128 * 1024 * 1024;
const NOT_A_SUBMISSION = "The file must be a complete zip archive with at least one file, or a git bundle whose name ends with .bundle.";
const TOOL_NAMES = { "claude-code": "Claude Code", codex: "Codex", opencode: "opencode" };
// The names in recorded events.
const SOURCES = { claude: "claude-code", codex: "codex", opencode: "opencode" };
const SUBMISSION_STATES = {
  waiting: "It is being read.",
  read: "It has been read.",
  unreadable: "It could not be read.",
  stored: "It has been read. It has no diff.",
};

let key = "";
let shownStatus = "";
let onStatusChange = () => {};
let state = null;
let clockOffsetMs = 0;
let timers = [];

/** Show the key's session and keep it up to date. Calls `onChange` when its status is no longer `status`. */
export async function openWorkspace(candidateKey, status, onChange) {
  closeWorkspace();
  [key, shownStatus, onStatusChange] = [candidateKey, status, onChange];
  timers = [setInterval(() => document.hidden || load(), POLL_MS), setInterval(showTime, TICK_MS)];
  await load();
}

export function closeWorkspace() {
  stopTimers();
  dialog.close();
  key = "";
  state = null;
  for (const part of ["countdown", "received", "models", "submit", "submitted", "hidden-tests", "reading", "unreadable"]) showPart(part, false);
}

function stopTimers() {
  for (const timer of timers) clearInterval(timer);
  timers = [];
}

async function load() {
  const requestKey = key;
  if (!requestKey) return;
  const { status, body } = await fetchJson("/v1/candidate/workspace", { headers: { "X-API-Key": requestKey } });
  if (requestKey !== key) return;
  showPart("stale", status !== 200);
  if (status !== 200) return;
  const isFirst = state === null;
  state = body;
  setClock(body);
  if (body.status !== shownStatus) {
    closeWorkspace();
    onStatusChange();
    return;
  }
  if (isFirst) showRepository();
  if (isFirst) showTools();
  showTime();
  showReceived();
  showModels();
  showSubmission();
  showHiddenTests();
  if (!canSubmit()) stopTimers();
  // A session that the time limit closed after a submission becomes complete without a question.
  if (isFirst && body.status === "expired" && body.submission && canSubmit()) complete();
}

function showHiddenTests() {
  const { hiddenTests } = state;
  showPart("hidden-tests", Boolean(hiddenTests));
  if (hiddenTests) fill({ hiddenTests: `${hiddenTests.passed} of ${hiddenTests.total}` });
}

/** Return whether the service accepts a submission: until ten minutes after the close. */
function canSubmit() {
  return !state.submissionClosesAt || serviceTime() < new Date(state.submissionClosesAt);
}

function setClock({ respondedAt }) {
  clockOffsetMs = new Date(respondedAt) - Date.now();
}

function serviceTime() {
  return Date.now() + clockOffsetMs;
}

function showTime() {
  if (state?.status !== "active") return;
  const { endsAt, closesAt } = state;
  const leftMs = endsAt ? new Date(endsAt) - serviceTime() : Infinity;
  showPart("countdown", Boolean(endsAt));
  showPart("started", leftMs > 0);
  showPart("time-is-up", leftMs <= 0);
  if (endsAt) fill({ left: formatDuration(Math.max(0, leftMs)), ends: formatTime(endsAt), closes: formatClock(closesAt) });
}

/** `1:09:05`, or `9:05` for less than an hour. */
function formatDuration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const units = parts[0] ? parts : parts.slice(1);
  return units.map((number, index) => String(number).padStart(index ? 2 : 1, "0")).join(":");
}

function showRepository() {
  showPart("repository", Boolean(state.repoUrl));
  fill({ repoUrl: state.repoUrl ?? "" });
}

function showTools() {
  const tools = new Set(state.tools.map(({ name }) => name));
  for (const row of document.querySelectorAll("[data-tool]")) row.hidden = !tools.has(row.dataset.tool);
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
  const { received, lastReceivedAt, status } = state;
  const silent = canUseTools() ? silentTools() : [];
  showPart("received", status === "active" || Boolean(lastReceivedAt));
  showPart("nothing-yet", !lastReceivedAt);
  showPart("arrived", Boolean(lastReceivedAt));
  if (lastReceivedAt) fill({ last: formatRelative(lastReceivedAt) });
  const none = { prompts: 0, commands: 0, changes: 0 };
  const rows = [...received, ...silent.map((tool) => ({ tool, ...none }))];
  document.querySelector("[data-received]").replaceChildren(...rows.map(receivedRow));
  for (const hint of document.querySelectorAll("[data-silent]")) hint.hidden = !silent.includes(hint.dataset.silent);
  showPart("silent", silent.length > 0);
}

/** While it is false, another notice says why nothing arrives. */
function canUseTools() {
  const { status, endsAt, modelUsage } = state;
  return status === "active" && !modelUsage?.problem && !(endsAt && serviceTime() >= new Date(endsAt));
}

/** The configured tools that have sent nothing, if another one has. */
function silentTools() {
  const configured = state.tools.map(({ name }) => SOURCES[name]).filter(Boolean);
  const silent = configured.filter((source) => !state.received.some(({ tool }) => tool === source));
  return silent.length < configured.length ? silent : [];
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

function showModels() {
  const { modelUsage, status } = state;
  showPart("models", Boolean(modelUsage) && status === "active");
  for (const notice of document.querySelectorAll("[data-problem]")) {
    notice.hidden = notice.dataset.problem !== modelUsage?.problem;
  }
  if (!modelUsage) return;
  const { spentUsd, budgetUsd, lastCallAt } = modelUsage;
  const budget = budgetUsd === null ? "used, no limit" : `of ${formatDollars(budgetUsd)} used`;
  fill({ modelCost: `${formatDollars(spentUsd)} ${budget}` });
  if (lastCallAt) fill({ lastCallAt: formatClock(lastCallAt) });
}

function formatDollars(amount) {
  return amount.toLocaleString("en-US", { style: "currency", currency: "USD" });
}

function showSubmission() {
  const { submission, status, submissionClosesAt } = state;
  const [isOpen, isSubmitted, isReplaceable] = [status === "active", Boolean(submission), canSubmit()];
  const problem = submission?.problem;
  const isReading = submission?.state === "waiting" && !problem && isReplaceable;
  showPart("thanks", !problem && !isReading);
  showPart("reading", isReading && !isOpen);
  showPart("unreadable", Boolean(problem));
  showPart("remove", submission?.state === "unreadable" && submission.format === "git");
  showPart("zip-again", submission?.state === "unreadable" && submission.format === "zip");
  showPart("replaceable", isReplaceable);
  showPart("final", !isReplaceable);
  showPart("deadline", Boolean(submissionClosesAt));
  showPart("late", !isOpen && !isSubmitted && isReplaceable);
  showPart("too-late", isSubmitted || !isReplaceable);
  showPart("still-open", isOpen && isSubmitted && !problem);
  showPart("submitted", isSubmitted);
  showPart("submit", isReplaceable);
  showPart("replace", isSubmitted && !isOpen);
  showPart("ends", isOpen);
  fill({ submitHeading: isSubmitted ? "Submit again" : "Submit your work" });
  if (submissionClosesAt) fill({ submissionClosesAt: formatClock(submissionClosesAt) });
  if (submission) fillSubmission(submission);
}

function fillSubmission({ receivedAt, format, size, problem, state: submissionState }) {
  const file = format === "git" ? "Git bundle" : "Zip archive";
  fill({ submittedAt: formatTime(receivedAt), submissionFile: `${file}, ${formatBytes(size)}` });
  fill({ submissionState: SUBMISSION_STATES[problem ? "unreadable" : submissionState], problem: problem ?? "" });
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
  const error = await upload(file);
  showPart("sending", false);
  button.disabled = false;
  if (error) return showError(error);
  form.reset();
  // A session that the time limit closed becomes complete without a question.
  if (state?.status === "expired") return complete();
  await load();
  return state?.status === "active" ? askToEnd() : undefined;
}

/** Upload the file. Returns an error message, or "". */
async function upload(file) {
  if (file.size > MAX_SUBMISSION_BYTES) return "The file is larger than 128 MiB. Leave out files that can be built or downloaded.";
  const type = file.name.endsWith(".bundle") ? "application/x-git-bundle" : "application/zip";
  const headers = { "X-API-Key": key, "Content-Type": type };
  const options = { method: "PUT", headers, body: file, timeoutMs: UPLOAD_TIMEOUT_MS };
  const uploaded = await fetchJson("/v1/candidate/submission", options);
  if (uploaded.body.code === "not_a_submission") return NOT_A_SUBMISSION;
  return uploaded.status === 200 ? "" : errorMessage(uploaded, "We could not send your file. Please try again.");
}

function askToEnd() {
  dialog.returnValue = "";
  dialog.showModal();
}

async function complete() {
  const body = JSON.stringify({ key, sessionId: state.sessionId });
  const headers = { "Content-Type": "application/json" };
  const completed = await fetchJson("/v1/candidate/complete", { method: "POST", headers, body });
  if (completed.status === 200) return load();
  return showError(errorMessage(completed, "Your file was sent, but your session is still open. Please try again."));
}

function showError(error) {
  fill({ submitError: error });
  showPart("submit-failed", true);
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
const dialog = document.querySelector("[data-end-dialog]");
dialog.addEventListener("close", () => dialog.returnValue === "end" && complete());
document.querySelector("[data-end]").addEventListener("click", askToEnd);
const form = document.querySelector("[data-submission]");
form.addEventListener("submit", submit);
form.addEventListener("drop", onDrop);
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
