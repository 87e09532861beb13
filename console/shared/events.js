// Load a session's events, and derive their names and lanes.

import * as api from "./api.js";
import { has, t } from "./texts.js";
import { plain } from "./untrusted.js";

const CHANGES = new Set(["file_diff", "file_create", "file_delete"]);
const LANE_BY_ACTOR = new Map([
  ["ai", "agent"],
  ["human", "candidate"],
]);
const BY_CANDIDATE = new Set(["likely_human", "ai_revised_by_human"]);
const MAX_SLICE_MS = 20;
const MAX_OPEN_REQUESTS = 20;
const MAX_SUBJECT_CHARACTERS = 60;
// The model's responses, which are no results.
const RESPONSES = new Set(["ai_response", "subagent_usage"]);
const GRANTED = /^(accept|allow|approve)/;

/**
 * Load all events in order, with the compact timeline's fields (`id`, `ts`, `kind`, `actor`, `attribution`, `late`,
 * `channel`, `counts`, `call`, `summary`, `size`), `time` in milliseconds, and `request` and `isPart` of `joinRequests`.
 */
export function loadEvents(sessionId, { signal } = {}) {
  return api.queueRead(async () => {
    const send = () => api.request("GET", `/v1/sessions/${sessionId}/timeline/compact`, { signal });
    const response = await api.retryWhenBusy(send, signal);
    return api.read(() => readEvents(response), signal);
  });
}

async function readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = [];
  let partialLine = "";
  let sliceStart = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    // Parse the response as it arrives, in slices, so the page stays responsive.
    const end = value.lastIndexOf("\n") + 1;
    if (end) addLines(partialLine + value.slice(0, end), events);
    partialLine = end ? value.slice(end) : partialLine + value;
    if (performance.now() - sliceStart > MAX_SLICE_MS) {
      await new Promise((resolve) => setTimeout(resolve));
      sliceStart = performance.now();
    }
  }
  joinRequests(events);
  return events;
}

/**
 * Make an action one event: its result has the `request`'s id, and the request and a granted permission are `isPart`.
 * Events of a call have the same `call`. The client's have none: its results name the request's path or command, or follow
 * it directly.
 */
function joinRequests(events) {
  const requests = new Map(events.filter(({ kind, call, counts }) => kind === "tool_intent" && call && counts).map(({ call, id }) => [call, id]));
  const results = new Set(events.filter((event) => !isBeforeResult(event) && !isDuplicate(event)).map(({ call }) => call));
  // A rejected request stays open, so the newest come first. Parallel ones, and their results, are in order.
  const open = [];
  let parallel = 0;
  for (const [n, event] of events.entries()) {
    const isRequest = event.kind === "tool_intent";
    if (isRequest && events[n - 1]?.kind !== "tool_intent") parallel = 0;
    if (event.call && isBeforeResult(event)) event.isPart = results.has(event.call) && (isRequest || GRANTED.test(event.summary));
    else if (event.call) event.request = requests.get(event.call);
    else if (isRequest) {
      open.splice(parallel, 0, event);
      parallel += 1;
      open.splice(MAX_OPEN_REQUESTS);
    } else if (event.actor === "ai" && !RESPONSES.has(event.kind)) {
      const isNamed = requestMatcher(event.summary);
      const request = open.find(({ summary }) => isNamed(summary)) ?? open.find((other) => other === events[n - 1]);
      if (!request) continue;
      [request.isPart, event.request] = [true, request.id];
      open.splice(open.indexOf(request), 1);
    }
  }
}

/**
 * Return whether a request's summary, `Write · {"file_path":"/home/ann/src/tools.py","co`, names a result's path, which can
 * be relative, or its command, or has its input.
 */
function requestMatcher(result) {
  const subject = result.split(" · ")[0].slice(0, MAX_SUBJECT_CHARACTERS);
  const inJson = JSON.stringify(subject).slice(1, -1) + (subject.length < MAX_SUBJECT_CHARACTERS ? '"' : "");
  const call = result.replace(" · failed: ", " · ");
  return (request) => {
    const [, input] = / · (.+)/.exec(request) ?? [];
    if (!input || !subject) return false;
    const quoted = `"${input}"`;
    return quoted.includes(`"${inJson}`) || quoted.includes(`/${inJson}`) || call.startsWith(request.slice(0, MAX_SUBJECT_CHARACTERS));
  };
}

const isBeforeResult = ({ kind }) => kind === "tool_intent" || kind === "permission_decision";

/** Load an event with its envelope, or null if it does not exist. The id is a query parameter, because it can be `..`. */
export async function loadEvent(sessionId, eventId, { signal } = {}) {
  const query = { eventId, detail: "full" };
  const { events } = await api.get(`/v1/sessions/${sessionId}/timeline`, { query, signal });
  return events[0] ?? null;
}

/** Parse complete lines into events. */
function addLines(lines, events) {
  for (const event of JSON.parse(`[${lines.trimEnd().replaceAll("\n", ",")}]`)) {
    event.time = Date.parse(event.ts);
    events.push(event);
  }
}

/** Return a kind's display name. Quotes an unknown kind, because it could be called `Command`. */
export function kindName(kind) {
  return has(`report.kinds.${kind}`) ? t(`report.kinds.${kind}`) : t("report.unknownKind", { kind: plain(kind) });
}

/** Return an event's lane, or null. `verifications` maps event ids to the analytics' verifications. */
export function getLane(event, verifications) {
  if (event.kind === "prompt") return "prompts";
  if (CHANGES.has(event.kind)) return changeLane(event);
  if (event.kind === "test_run" || event.kind === "build_run" || verifications?.has(event.id)) return "tests";
  return event.kind === "command" ? "commands" : null;
}

function changeLane({ attribution, actor }) {
  if (BY_CANDIDATE.has(attribution)) return "candidate";
  if (attribution === "likely_ai") return "agent";
  if (attribution === "mixed") return "unknown";
  return LANE_BY_ACTOR.get(actor) ?? "unknown";
}

/** True for a text that the model proxy saw besides the conversation's steps. */
export const isContext = (event) => event.kind === "context" && event.channel !== null;

/** True for context that is not a user's text: a modified tool could disguise prompts as texts of its own. */
export const isToolContext = (event) => isContext(event) && !event.summary?.endsWith("user text");

/** True if another channel has already recorded the event. */
export const isDuplicate = (event) => !event.counts && !event.late && !isContext(event);

/** Describe why an event is not counted, or return null if it is. */
export function notCountedReason(event) {
  if (event.counts) return null;
  if (event.late) return t("report.late");
  if (isContext(event)) return t("report.context");
  return t("report.duplicate", { channel: channelName(event.channel) });
}

/** Return a channel's display name. */
export function channelName(channel) {
  return t(`report.channels.${channel ?? "client"}`);
}

/** Return the URL of an event in its session's report. */
export function eventLink(sessionId, eventId) {
  return `#/sessions/${sessionId}?event=${encodeURIComponent(eventId)}`;
}
