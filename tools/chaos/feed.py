"""Read the event feed page by page: each event once, in a stable order."""

from collections import Counter
from typing import Any

from tools.chaos.deployment import Deployment
from tools.chaos.receivers import digest

PAGE_SIZE = 200
# Field with the subject of an event, by type. All other events are about a session.
SUBJECTS = {
    "assessment.created": "assessmentId",
    "assessment.deleted": "assessmentId",
    "key.created": "candidateId",
    "key.revoked": "candidateId",
    "invite.sent": "candidateId",
    "invite.failed": "candidateId",
    "candidate.erased": "candidateId",
    "ledger.checkpoint": "organizationId",
}


class FeedReader:
    """Reads and checks the feed.

    digests -- of the events read so far, by event id, in feed order
    counts, positions -- number and first position of these events, by type and subject
    """

    def __init__(self, deployment: Deployment):
        self.deployment = deployment
        self.digests: dict[str, bytes] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.positions: dict[tuple[str, str], int] = {}
        self._cursor = 0

    def read_new(self) -> list[str]:
        """Read new events, compare them with the webhooks, and return violations."""
        events, self._cursor = self._read(self._cursor)
        violations = []
        for event in events:
            if event["id"] in self.digests:
                violations.append(f"The feed contains a duplicate event: {event['id']}.")
            subject = (event["type"], event["data"][SUBJECTS.get(event["type"], "sessionId")])
            self.counts[subject] += 1
            self.positions.setdefault(subject, len(self.digests))
            self.digests[event["id"]] = digest(event)
        feed, webhooks = self.digests, self.deployment.receivers.webhooks.digests
        for event_id in feed.keys() ^ webhooks.keys():
            violations.append(f"The event {event_id} is only in the feed or only in a webhook.")
        for event_id in feed.keys() & webhooks.keys():
            if feed[event_id] != webhooks[event_id]:
                violations.append(f"The event {event_id} differs between feed and webhook.")
        return violations

    def reread(self) -> list[str]:
        """Check that the order has not changed, and that no event was inserted before the cursor."""
        events, _ = self._read(0)
        is_unchanged = [(event["id"], digest(event)) for event in events] == list(self.digests.items())
        return [] if is_unchanged else ["The feed is different when read again."]

    def _read(self, cursor: int) -> tuple[list[dict[str, Any]], int]:
        events, has_more = [], True
        while has_more:
            path = f"/v1/events?after={cursor}&limit={PAGE_SIZE}"
            page = self.deployment.client.request("GET", path, headers=self.deployment.reviewer).json
            events += page["events"]
            cursor, has_more = page["next"], page["hasMore"]
        return events, cursor
