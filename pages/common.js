// Helpers for candidates' pages: requests, page states, and times in the reader's time zone.

const ROOT = document.documentElement.dataset.root;
const TIMEOUT_MS = 15000;

/** Send a request. Returns `{status, body}`, with status 0 if there is no JSON response. */
export async function fetchJson(path, { timeoutMs = TIMEOUT_MS, ...options } = {}) {
  try {
    const response = await fetch(ROOT + path, {
      ...options,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: {} };
  }
}

/** Download a file. Returns a Blob, or null if the request fails. */
export async function fetchFile(path, headers) {
  try {
    const response = await fetch(ROOT + path, { headers, cache: "no-store", credentials: "omit" });
    return response.ok ? await response.blob() : null;
  } catch {
    return null;
  }
}

/** Show one of the page's states, and focus its heading. */
export function showState(name) {
  for (const section of document.querySelectorAll("[data-state]")) {
    section.hidden = section.dataset.state !== name;
  }
  document.querySelector(`[data-state="${name}"] h1`)?.focus({ preventScroll: true });
}

export function showPart(name, isVisible) {
  for (const part of document.querySelectorAll(`[data-part="${name}"]`)) part.hidden = !isVisible;
}

/** Set the text of elements by `data-fill`: `fill({org: "Example Ltd"})`. */
export function fill(values) {
  for (const [name, text] of Object.entries(values)) {
    for (const element of document.querySelectorAll(`[data-fill="${name}"]`)) {
      // Screen readers announce an alert again when its text is set.
      if (element.textContent !== text) element.textContent = text;
    }
  }
}

const TIME_FORMAT = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

/** `Wednesday 8 April 2026 at 11:00`, in the reader's time zone. */
export function formatTime(timestamp) {
  return TIME_FORMAT.format(new Date(timestamp));
}

/** `11:00`, in the reader's time zone. */
export function formatClock(timestamp) {
  return new Date(timestamp).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** The reader's time zone at a given time: `Europe/Berlin, GMT+2`. */
export function formatZone(timestamp) {
  const format = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
  const abbreviation = format.formatToParts(new Date(timestamp)).find((part) => part.type === "timeZoneName").value;
  const name = format.resolvedOptions().timeZone;
  return name === abbreviation ? name : `${name}, ${abbreviation}`;
}
