"""The types of feed events, with descriptions for the docs. For their payloads, see schemas/feed_events.py."""

TEST_EVENT = "webhook.test"
TEST_EVENT_DESCRIPTION = "A test that a reviewer sent. Only to its webhook, never in the feed."

EVENT_TYPES = {
    "assessment.created": "An assessment was created.",
    "key.created": "A candidate key was generated.",
    "invite.sent": "An invitation was sent, or saved as a file without an email server.",
    "invite.failed": "All attempts to send an invitation failed.",
    "session.started": "A candidate redeemed the key for the first time.",
    "session.completed": "A candidate completed the session.",
    "session.expired": "A session was closed by its time limit or by a reviewer.",
    "candidate.decided": "A decision about a candidate changed.",
    "candidate.hired": "A candidate was marked as hired.",
    "score.updated": "A criterion was scored.",
    "score.withdrawn": "A reviewer withdrew their score of a criterion.",
    "candidate.erased": "A candidate's data was erased.",
    "session.sealed": "A final seal was appended to a session. Archive its head and MAC as an anchor.",
    "audit.sealed": "The audit log or the number of sealed events changed; sent at most hourly. Archive the head, "
    "the numbers and the MAC as an anchor.",
}
