"""Compare a session's usage with its quota (SESSION_MAX_BYTES, SESSION_MAX_EVENTS).

A session's row stores the counts of its events up to `counted_seq`. Concurrent events share the lock on that row, so
they can only read the counts. A process counts events under the exclusive lock: for every large event, after
COUNT_INTERVAL small ones, and for each event once the session is close to its quota.

The quota is exact with up to ten web processes, which store at most RESERVE between two counts. Each additional process
can exceed it by COUNT_INTERVAL events.
"""

from collections import Counter

from models import sql
from models.sessions.events import ReceivedEvent
from models.sessions.session import Session
from rules.session_quota import Quota, Usage

COUNT_INTERVAL = 100
MAX_UNCOUNTED_BYTES = 64 * 1024
RESERVE = Usage(events=10 * COUNT_INTERVAL, bytes=10 * COUNT_INTERVAL * MAX_UNCOUNTED_BYTES)
_MAX_KEYS = 10_000

# Events stored by this process under the shared lock since the last count, by candidate key.
_uncounted: Counter[str] = Counter()


def requires_count(key: str, event: ReceivedEvent) -> bool:
    """Return whether this event must be stored under the exclusive lock, which counts it."""
    if event.size <= MAX_UNCOUNTED_BYTES and _uncounted[key] < COUNT_INTERVAL:
        return False
    _uncounted.pop(key, None)
    return True


def under_shared_lock(quota: Quota) -> Quota:
    """Return the quota for events that are stored without counting."""
    return Quota(quota.max_bytes - RESERVE.bytes, quota.max_events - RESERVE.events)


def record_uncounted(key: str) -> None:
    if len(_uncounted) >= _MAX_KEYS:
        _uncounted.clear()
    _uncounted[key] += 1


def usage(session: Session) -> Usage:
    """Count a session's events, and the bytes of its events and bundles. Exact while the session is locked."""
    count, size = sql.rows(sql.COUNT_AFTER, session_id=session.id, seq=session.counted_seq)[0]
    size = session.stored_event_bytes + int(size) + session.stored_bundle_bytes
    return Usage(session.stored_event_count + count, size)


def stored_bytes(session: Session) -> int:
    """Return the bytes that count towards SESSION_MAX_BYTES."""
    return usage(session).bytes
