"""The reader of the event feed: page by page, each event once, in a stable order."""

from collections import Counter
from typing import Any

from tools.chaos.deployment import Deployment
from tools.chaos.receivers import digest

PAGE_SIZE = 200
# The subject of an event by its type; all other events are about a session.
SUBJECTS = {
    "assessment.created": "assessmentId",
    "key.created": "candidateId",
    "invite.sent": "candidateId",
    "invite.failed": "candidateId",
    "candidate.erased": "candidateId",
}


class FeedReader:
    """The events read so far.

    digests -- by event id, in the order of the feed
    counts, positions -- number and first position of the events of a type about a subject
    """

    def __init__(self, deployment: Deployment):
        self.deployment = deployment
        self.digests: dict[str, bytes] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.positions: dict[tuple[str, str], int] = {}
        self._cursor = 0

    def read_new(self) -> list[str]:
        """Read new events; returns violations."""
        events, self._cursor = self._read(self._cursor)
        repeated = []
        for event in events:
            if event["id"] in self.digests:
                repeated.append(event["id"])
            subject = (event["type"], event["data"][SUBJECTS.get(event["type"], "sessionId")])
            self.counts[subject] += 1
            self.positions.setdefault(subject, len(self.digests))
            self.digests[event["id"]] = digest(event)
        violations = [f"The feed has the duplicate event {event_id}." for event_id in repeated]
        return violations + self._compare_with_webhooks()

    def reread(self) -> list[str]:
        """Read all events again: the order must not change, and no event may appear behind a reader."""
        events, _ = self._read(0)
        is_same = [(event["id"], digest(event)) for event in events] == list(self.digests.items())
        return [] if is_same else ["The feed is different when read again."]

    def _read(self, cursor: int) -> tuple[list[dict[str, Any]], int]:
        events, has_more = [], True
        while has_more:
            path = f"/v1/events?after={cursor}&limit={PAGE_SIZE}"
            page = self.deployment.client.request("GET", path, headers=self.deployment.reviewer).json
            events += page["events"]
            cursor, has_more = page["next"], page["hasMore"]
        return events, cursor

    def _compare_with_webhooks(self) -> list[str]:
        feed, webhooks = self.digests, self.deployment.receivers.webhooks.digests
        return [
            *(
                f"No webhook delivered the feed event {event_id}."
                for event_id in feed.keys() - webhooks.keys()
            ),
            *(f"The webhook {event_id} is not in the feed." for event_id in webhooks.keys() - feed.keys()),
            *(
                f"The event {event_id} differs between feed and webhook."
                for event_id in feed.keys() & webhooks.keys()
                if feed[event_id] != webhooks[event_id]
            ),
        ]
