"""A session's quota (SESSION_MAX_BYTES, SESSION_MAX_EVENTS)."""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Quota(NamedTuple):
    max_bytes: int
    max_events: int


DEFAULT_QUOTA = Quota(512 * 1024 * 1024, 200_000)


class Usage(NamedTuple):
    """The number of a session's events, and the bytes of its envelopes and bundles."""

    events: int
    bytes: int

    def is_within(self, quota: Quota) -> bool:
        return self.events <= quota.max_events and self.bytes <= quota.max_bytes


def admitted(
    events: Iterable[tuple[str, int]], stored_ids: Collection[str], usage: Usage, quota: Quota
) -> list[bool]:
    """Return whether the session has space for each event.

    events -- their ids and sizes
    stored_ids -- the ids of stored events, which take no space again
    """
    result, known = [], set(stored_ids)
    for event_id, size in events:
        after = Usage(usage.events + 1, usage.bytes + size)
        if event_id not in known and after.is_within(quota):
            known.add(event_id)
            usage = after
        result.append(event_id in known)
    return result
