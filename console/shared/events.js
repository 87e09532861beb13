// A session's events from the compact timeline: loading, names and lanes.

import * as api from "./api.js";
import { has, t } from "./texts.js";
import { plain } from "./untrusted.js";

const CHANGES = new Set(["file_diff", "file_create", "file_delete"]);
const LANES_OF_ACTORS = new Map([
  ["ai", "agent"],
  ["human", "candidate"],
]);
const BY_CANDIDATE = new Set(["likely_human", "ai_revised_by_human"]);
const MAX_SLICE_MS = 20;

/**
 * Load all events in order. Each has `time` in milliseconds and the compact timeline's fields: `id`, `ts`, `kind`,
 * `actor`, `attribution`, `late`, `channel`, `counts`, `summary`, `size`.
 */
export function loadEvents(sessionId, { signal } = {}) {
  return api.limitReads(async () => {
    const response = await api.request("GET", `/v1/sessions/${sessionId}/timeline/compact`, { signal });
    return api.read(() => readEvents(response), signal);
  });
}

async function readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = [];
  let rest = "";
  let sliceStart = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    // Parse the response as it arrives, in slices, so the page stays responsive.
    const end = value.lastIndexOf("\n") + 1;
    if (end) addLines(rest + value.slice(0, end), events);
    rest = end ? value.slice(end) : rest + value;
    if (performance.now() - sliceStart > MAX_SLICE_MS) {
      await new Promise((resolve) => setTimeout(resolve));
      sliceStart = performance.now();
    }
  }
  return events;
}

/** Load one event with its envelope; null if it does not exist. The id is a query parameter, because it can be `..`. */
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

/** A kind's name. An unknown kind appears in quotation marks, because it could be `Command`. */
export function kindName(kind) {
  return has(`report.kinds.${kind}`) ? t(`report.kinds.${kind}`) : t("report.otherKind", { kind: plain(kind) });
}

/** An event's lane, or null. `verifications` are from the analytics, by event id. */
export function laneOf(event, verifications) {
  if (event.kind === "prompt") return "prompts";
  if (CHANGES.has(event.kind)) return changeLane(event);
  if (event.kind === "test_run" || event.kind === "build_run" || verifications?.has(event.id)) return "tests";
  return event.kind === "command" ? "commands" : null;
}

function changeLane({ attribution, actor }) {
  if (BY_CANDIDATE.has(attribution)) return "candidate";
  if (attribution === "likely_ai") return "agent";
  if (attribution === "mixed") return "unknown";
  return LANES_OF_ACTORS.get(actor) ?? "unknown";
}

/** True if another channel has already recorded the event. */
export const isDuplicate = (event) => !event.counts && !event.late;

/** The reason why an event is not counted; null if it is counted. */
export function whyNotCounted(event) {
  if (event.counts) return null;
  if (event.late) return t("report.late");
  return t("report.duplicate", { channel: channelName(event.channel) });
}

/** The display name of an event's channel. */
export function channelName(channel) {
  return t(`report.channels.${channel ?? "client"}`);
}

/** An event's address in its session's report. */
export function eventLink(sessionId, eventId) {
  return `#/sessions/${sessionId}?event=${encodeURIComponent(eventId)}`;
}
