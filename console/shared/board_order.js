// The order in which a board last showed its sessions, for links to the previous and next candidate.

const name = (assessmentId) => `proofstone.order.${assessmentId}`;

/** Store the ids of an assessment's sessions in the order of the board. */
export const storeBoardOrder = (assessmentId, sessionIds) => sessionStorage.setItem(name(assessmentId), sessionIds.join(" "));

/** Return the ids of the sessions that this tab's last board of the assessment showed, in its order; empty without one. */
export const boardOrder = (assessmentId) => (sessionStorage.getItem(name(assessmentId)) ?? "").split(" ").filter(Boolean);
