// A session's events as the compact timeline has them: loading, names, and the lanes they belong to.

import * as api from "./api.js";
import { has, t } from "./texts.js";

const CHANGES = new Set(["file_diff", "file_create", "file_delete"]);
const BY_HAND = new Set(["likely_human", "ai_revised_by_human"]);
const LINES_PER_SLICE = 2_000;

/**
 * All events in order. Each has `time` in milliseconds and the members of the compact timeline: `id`, `ts`, `kind`,
 * `actor`, `attribution`, `late`, `channel`, `counts`, `summary`, `size`.
 */
export async function loadEvents(sessionId, { signal } = {}) {
  const response = await api.request("GET", `/v1/sessions/${sessionId}/timeline/compact`, { signal });
  const lines = (await response.text()).split("\n");
  const events = [];
  for (let start = 0; start < lines.length; start += LINES_PER_SLICE) {
    // Slices leave the page responsive.
    if (start) await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    const slice = lines.slice(start, start + LINES_PER_SLICE).filter(Boolean);
    for (const event of JSON.parse(`[${slice.join()}]`)) {
      event.time = Date.parse(event.ts);
      events.push(event);
    }
  }
  return events;
}

/** The name of a kind; an unknown one is shown as the client sent it. */
export function kindName(kind) {
  return has(`report.kinds.${kind}`) ? t(`report.kinds.${kind}`) : kind;
}

/** The lane of an event, or null. `verifications` are those of the analytics, by event id. */
export function laneOf(event, verifications) {
  if (event.kind === "prompt") return "prompts";
  if (CHANGES.has(event.kind)) return changeLane(event);
  if (event.kind === "test_run" || event.kind === "build_run" || verifications?.has(event.id)) return "tests";
  return event.kind === "command" ? "commands" : null;
}

function changeLane({ attribution, actor }) {
  if (BY_HAND.has(attribution)) return "byHand";
  if (attribution === "likely_ai") return "agent";
  if (attribution === "mixed") return "unknown";
  return { ai: "agent", human: "byHand" }[actor] ?? "unknown";
}

/** Why an event does not count, in words; null if it counts. */
export function whyNotCounted(event) {
  if (event.counts) return null;
  if (event.late) return t("report.late");
  return t("report.witness", { channel: channelName(event.channel) });
}

/** The channel that recorded an event, in words. */
export function channelName(channel) {
  return t(`report.channels.${channel ?? "client"}`);
}
