"""A session's quota (SESSION_MAX_BYTES, SESSION_MAX_EVENTS)."""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Quota(NamedTuple):
    max_bytes: int
    max_events: int


DEFAULT_QUOTA = Quota(512 * 1024 * 1024, 200_000)


class Usage(NamedTuple):
    """A session's event count, and the total size of its envelopes and bundles."""

    events: int
    bytes: int

    def is_within(self, quota: Quota) -> bool:
        return self.events <= quota.max_events and self.bytes <= quota.max_bytes


def admit_events(
    events: Iterable[tuple[str, int]], stored_ids: Collection[str], usage: Usage, quota: Quota
) -> list[bool]:
    """Return, for each event, whether it fits in the session's quota.

    events -- pairs of (id, size in bytes)
    stored_ids -- ids of events that are already stored and use no additional quota
    """
    results, admitted = [], set(stored_ids)
    for event_id, size in events:
        after = Usage(usage.events + 1, usage.bytes + size)
        if event_id not in admitted and after.is_within(quota):
            admitted.add(event_id)
            usage = after
        results.append(event_id in admitted)
    return results
