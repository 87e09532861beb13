// The page at the end: how the session stands. The key comes in the address, and leaves it before anything else.

import { ask, fill, moment, showState, zone } from "./common.js";

const STORIES = {
  active: {
    heading: "Your session is still open",
    state: "Open",
    story: (org) => `You have not submitted yet. ${org} sees your work once you do, or once the time is over.`,
    when: (session) => ["Begun", session.redeemedAt],
  },
  completed: {
    heading: "Thank you. Your work has arrived.",
    state: "Submitted",
    story: (org) => `There is nothing left for you to do. ${org} has your work and will get back to you.`,
    when: (session) => ["Submitted", session.completedAt ?? session.closedAt],
  },
  expired: {
    heading: "Thank you. The time is over.",
    state: "Closed",
    story: (org) => `The session was closed before you submitted. ${org} has what had arrived by then.`,
    when: (session) => ["Closed", session.closedAt ?? session.closesAt],
  },
};

const sessionId = location.pathname.split("/").pop();
const key = new URLSearchParams(location.search).get("key");
// Whoever looks at the screen or the history later shall not find it.
history.replaceState(null, "", location.pathname);

async function open() {
  if (!key) return showState("nothing");
  showState("loading");
  const { status, body } = await ask(`/v1/sessions/${sessionId}`, { headers: { "X-API-Key": key } });
  if (status === 200) return show(body);
  return showState(status >= 400 && status < 500 && status !== 429 ? "nothing" : "offline");
}

function kept(session) {
  if (session.retainedUntil) return `until ${moment(session.retainedUntil)}`;
  if (session.closedAt) return "until it deletes them; no date is set for that";
  return "for as long as it keeps the records of finished sessions";
}

function show(session) {
  // Whom a company hired is its own to tell.
  const { heading, state, story, when } = STORIES[session.status] ?? STORIES.completed;
  const [whenLabel, at] = when(session);
  fill({ org: session.orgName, title: session.assessmentTitle, heading, state, story: story(session.orgName) });
  fill({ kept: kept(session) });
  fill({ whenLabel, when: moment(at), zone: zone(at), events: session.eventCount.toLocaleString("en-GB") });
  showState("session");
}

document.querySelector("[data-retry]").addEventListener("click", open);
open();
