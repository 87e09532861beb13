"""The feed of events as one reads it: from page to page, each event once, in an order that never changes."""

from collections import Counter
from typing import Any

from tools.chaos.receivers import digest
from tools.chaos.world import World

PAGE = 200
# What an event is about, by its type; sessions' events are about the session.
ABOUT = {
    "assessment.created": "assessmentId",
    "key.created": "candidateId",
    "invite.sent": "candidateId",
    "invite.failed": "candidateId",
    "candidate.erased": "candidateId",
}


class Feed:
    """What was read so far: `digests` by ids, in the feed's order.

    `places` says where the first event of a type and subject stands, `counts` how many there are.
    """

    def __init__(self, world: World):
        self.world = world
        self.digests: dict[str, bytes] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.places: dict[tuple[str, str], int] = {}
        self._next = 0

    def read_on(self) -> list[str]:
        """Read what is new; returns what is wrong with it."""
        fresh, self._next = self._read(self._next)
        twice = []
        for event in fresh:
            if event["id"] in self.digests:
                twice.append(event["id"])
            subject = (event["type"], event["data"][ABOUT.get(event["type"], "sessionId")])
            self.counts[subject] += 1
            self.places.setdefault(subject, len(self.digests))
            self.digests[event["id"]] = digest(event)
        return [f"The feed has the event {event_id} twice." for event_id in twice] + self._against_hooks()

    def read_again(self) -> list[str]:
        """Read it from its beginning: the same events in the same order, none that came in behind a reader."""
        again, _ = self._read(0)
        same = [(event["id"], digest(event)) for event in again] == list(self.digests.items())
        return [] if same else ["The feed reads differently from its beginning."]

    def _read(self, after: int) -> tuple[list[dict[str, Any]], int]:
        found, has_more = [], True
        while has_more:
            path = f"/v1/events?after={after}&limit={PAGE}"
            page = self.world.line.insist("GET", path, headers=self.world.reviewer).json
            found += page["events"]
            after, has_more = page["next"], page["hasMore"]
        return found, after

    def _against_hooks(self) -> list[str]:
        """The webhook's receiver got the very same events by their ids."""
        told = self.world.receivers.hooks.digests
        missing = self.digests.keys() - told.keys()
        unknown = told.keys() - self.digests.keys()
        other = [it for it in told.keys() & self.digests.keys() if told[it] != self.digests[it]]
        return [
            *(f"The event {event_id} of the feed never came as a webhook." for event_id in missing),
            *(f"The event {event_id} reads differently as a webhook." for event_id in other),
            *(f"The webhook {event_id} is not in the feed." for event_id in unknown),
        ]
