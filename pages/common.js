// What the candidate's pages share: asking the service, filling a page in, and times in the reader's own zone.

const ROOT = document.documentElement.dataset.root;
const PATIENCE_MS = 15000;

/** The answer as `{status, body}`; status 0 where there is none, or none that is JSON. */
export async function ask(path, options = {}) {
  try {
    const response = await fetch(ROOT + path, {
      ...options,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: {} };
  }
}

/** Show one of the page's states, and put the reader at its heading. */
export function showState(name) {
  for (const section of document.querySelectorAll("[data-state]")) {
    section.hidden = section.dataset.state !== name;
  }
  document.querySelector(`[data-state="${name}"] h1`)?.focus({ preventScroll: true });
}

export function showPart(name, shown) {
  for (const part of document.querySelectorAll(`[data-part="${name}"]`)) part.hidden = !shown;
}

/** Put texts where the page names them: `fill({org: "Example Ltd"})`. */
export function fill(texts) {
  for (const [name, text] of Object.entries(texts)) {
    for (const place of document.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = text;
  }
}

const MOMENT = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

/** `Wednesday 8 April 2026 at 11:00`, where the reader is. */
export function moment(text) {
  return MOMENT.format(new Date(text));
}

/** Which zone that is, for a moment: `Europe/Berlin, GMT+2`. */
export function zone(text) {
  const format = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
  const short = format.formatToParts(new Date(text)).find((part) => part.type === "timeZoneName").value;
  const name = format.resolvedOptions().timeZone;
  return name === short ? name : `${name}, ${short}`;
}
