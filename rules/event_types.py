"""What organizations can be told of, and what each event says beside ids."""

EVENT_TYPES = {
    "assessment.created": "An assessment was created.",
    "key.created": "A candidate key was generated.",
    "invite.sent": "An invitation went out (`state`: `sent`, or `saved` as a file where no mail server is set up).",
    "invite.failed": "An invitation was given up.",
    "session.started": "A candidate redeemed the key for the first time.",
    "session.completed": "A candidate completed the session.",
    "session.expired": "A session was closed by its limit or by a reviewer.",
    "candidate.hired": "A candidate was marked as hired.",
    "score.updated": "A criterion was scored.",
    "candidate.erased": "A candidate's data was erased.",
}
