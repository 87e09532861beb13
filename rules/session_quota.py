"""The quota of a session (SESSION_MAX_BYTES, SESSION_MAX_EVENTS)."""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Quota(NamedTuple):
    max_bytes: int
    max_events: int


DEFAULT_QUOTA = Quota(512 * 1024 * 1024, 200_000)


class Usage(NamedTuple):
    """The number of a session's events, and the bytes of their envelopes and of the bundles."""

    events: int
    bytes: int

    def plus(self, size: int) -> "Usage":
        """The usage with one more event."""
        return Usage(self.events + 1, self.bytes + size)

    def is_within(self, quota: Quota) -> bool:
        return self.events <= quota.max_events and self.bytes <= quota.max_bytes


def admitted(
    events: Iterable[tuple[str, int]], stored_ids: Collection[str], usage: Usage, quota: Quota
) -> list[bool]:
    """Return for each event whether the session has space for it, in order.

    events -- their ids and sizes
    stored_ids -- the ids that are already stored; a duplicate takes no space
    """
    result, known = [], set(stored_ids)
    for event_id, size in events:
        after = usage.plus(size)
        if event_id not in known and after.is_within(quota):
            known.add(event_id)
            usage = after
        result.append(event_id in known)
    return result
