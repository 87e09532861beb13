"""Feed event types and their descriptions for the API docs. For payloads, see schemas/feed_events.py."""

TEST_EVENT = "webhook.test"
TEST_EVENT_DESCRIPTION = (
    "A test event sent by a reviewer. Delivered only to the tested webhook, never listed in the feed."
)

EVENT_TYPES = {
    "assessment.created": "An assessment was created.",
    "assessment.deleted": "An assessment was deleted.",
    "key.created": "A candidate key was generated.",
    "key.revoked": "A candidate key was revoked.",
    "invite.sent": "An invitation was sent, or saved to a file if no email server is configured.",
    "invite.failed": "All attempts to send an invitation failed.",
    "session.started": "A candidate redeemed the key for the first time.",
    "session.completed": "A candidate completed the session.",
    "session.expired": "A session was closed, by its time limit or by a reviewer.",
    "test_run.finished": "A run of the hidden tests on a submission ended.",
    "candidate.decided": "A decision about a candidate changed.",
    "candidate.hired": "A candidate was marked as hired.",
    "score.updated": "A criterion was scored.",
    "score.withdrawn": "A reviewer withdrew their score of a criterion.",
    "candidate.erasure_requested": "A candidate requested erasure.",
    "candidate.erased": "A candidate's data was erased.",
    "order.created": "An application entered a stage with a rule.",
    "order.attention": "An order needs a person.",
    "order.reported": "A report about a candidate was written to the applicant-tracking system.",
    "ledger.checkpoint": "Position and hash of the ledger's last entry; sent ten minutes after each close, and "
    "hourly after other changes. Archive it.",
}
