// The page after submission: the session's status. Removes the key from the address bar first.

import { fetchJson, fill, formatTime, formatZone, showState } from "./common.js";

const STATUSES = {
  active: {
    heading: "Your session is still open",
    status: "Open",
    message: (org) => `You have not submitted yet. ${org} can already see the recording of your session.`,
    when: (session) => ["Started", session.redeemedAt],
  },
  completed: {
    heading: "Thank you. We have received your work.",
    status: "Submitted",
    message: (org) => `There is nothing left to do. ${org} will get back to you.`,
    when: (session) => ["Submitted", session.completedAt ?? session.closedAt],
  },
  expired: {
    heading: "Thank you. Your session is closed.",
    status: "Closed",
    message: (org) => `${org} has everything that was received by then.`,
    when: (session) => ["Closed", session.closedAt ?? session.closesAt],
  },
};

const sessionId = location.pathname.split("/").pop();
const key = new URLSearchParams(location.search).get("key");
// Keep the key off the screen and out of the browser history.
history.replaceState(null, "", location.pathname);

async function open() {
  if (!key) return showState("nothing");
  showState("loading");
  const { status, body } = await fetchJson(`/v1/sessions/${sessionId}`, { headers: { "X-API-Key": key } });
  if (status === 200) return showSession(body);
  return showState(status >= 400 && status < 500 && status !== 429 ? "nothing" : "offline");
}

function describeRetention(session) {
  if (session.retainedUntil) return `until ${formatTime(session.retainedUntil)}`;
  if (session.closedAt) return "without a fixed deletion date";
  return "for its retention period, if it has one, starting when your session closes";
}

function showSession(session) {
  const { heading, status, message, when } = STATUSES[session.status] ?? STATUSES.completed;
  const [whenLabel, at] = when(session);
  fill({
    org: session.orgName,
    title: session.assessmentTitle,
    heading,
    status,
    message: message(session.orgName),
    retention: describeRetention(session),
    whenLabel,
    when: formatTime(at),
    zone: formatZone(at),
    events: session.eventCount.toLocaleString("en-GB"),
  });
  showState("session");
}

document.querySelector("[data-retry]").addEventListener("click", open);
open();
