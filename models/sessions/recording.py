"""Store the events that the service's own channels record (R36 to R38)."""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime

from models import batches, sql
from models.base import clock
from models.service_secrets import service_secret
from models.sessions.events import ReceivedEvent
from models.sessions.ingest import append
from models.sessions.session import Consent, Session
from rules.events import recorded_events
from rules.events.recorded_events import EventSource, RecordedEvent
from rules.session_quota import DEFAULT_QUOTA, Quota

# Events in one transaction, which locks the session.
MAX_BATCH = 200
_STORED = frozenset({"created", "late"})


def may_record(session: Session, channel: str) -> bool:
    """Return whether the candidate agreed to a disclosure that names this channel (R38)."""
    return Consent.names_channel(session.key_id, channel)


def record(
    session: Session,
    event_source: EventSource,
    events: Sequence[RecordedEvent],
    *,
    quota: Quota = DEFAULT_QUOTA,
) -> int:
    """Store events of a channel in this order; returns how many are new.

    Nothing is stored without a consent that names the channel. Secrets are masked. Events of the session that are
    stored already, and those beyond the quota, are left out. Raises as `append`, but never for an event's content.
    """
    return record_all(session, [(event_source, events)] if events else [], event_source.channel, quota=quota)


def record_all(
    session: Session,
    recorded: Sequence[tuple[EventSource, Sequence[RecordedEvent]]],
    channel: str,
    *,
    quota: Quota = DEFAULT_QUOTA,
) -> int:
    """Like `record`, for several agent sessions of a channel."""
    if not recorded or not may_record(session, channel):
        return 0
    events = [event for each in recorded for event in prepare(session, *each)]
    return store_prepared(session, events, quota=quota)


def prepare(
    session: Session, event_source: EventSource, events: Sequence[RecordedEvent], first: int = 0
) -> list[ReceivedEvent]:
    """The events as they are stored, with masked secrets. It takes time: call it before a transaction.

    first -- the number of preceding events, which may have the same time
    """
    now = clock.now()
    return [
        _received_event(session, event_source, event, number, now)
        for number, event in enumerate(events, first)
    ]


def store_prepared(session: Session, events: Sequence[ReceivedEvent], *, quota: Quota = DEFAULT_QUOTA) -> int:
    """Store events of a channel in this order; returns how many are new. Raises as `append`."""
    outcomes: list[str] = []
    for start in range(0, len(events), MAX_BATCH):
        outcomes += append(session, *events[start : start + MAX_BATCH], quota=quota)
    return sum(outcome in _STORED for outcome in outcomes)


def stored_positions(
    session: Session, event_source: EventSource, events: Sequence[RecordedEvent]
) -> set[int]:
    """The positions in `events` of those that are already stored."""
    ids = [event_id(session, event_source, event) for event in events]
    stored: set[str] = set()
    for start in range(0, len(ids), batches.MAX_ROWS):
        names, values = sql.in_list("id", ids[start : start + batches.MAX_ROWS])
        rows = sql.rows(sql.STORED_IDS.format(ids=names), session_id=session.id, **values)
        stored.update(stored_id for (stored_id,) in rows)
    return {position for position, each in enumerate(ids) if each in stored}


def event_id(session: Session, event_source: EventSource, event: RecordedEvent) -> str:
    """The id that the same event always has (R36). It contains a secret, so that no client can use it before."""
    parts = [event_source.channel, event_source.agent_session, event.identity, event.kind, event.index]
    return str(
        uuid.uuid5(uuid.UUID(bytes=service_secret("recording")[:16]), json.dumps([str(session.id), *parts]))
    )


def _received_event(
    session: Session, event_source: EventSource, event: RecordedEvent, number: int, now: datetime
) -> ReceivedEvent:
    """
    number -- its position in the list: nanoseconds that keep events of one time in this order
    """
    ts, time_ns = recorded_events.event_time(event.at or now, number)
    ids = {"id": event_id(session, event_source, event), "sessionId": str(session.id), "ts": ts}
    envelope = recorded_events.envelope(event_source, event, ids)
    return ReceivedEvent.recorded(
        envelope, time_ns, recorded_events.serialize(envelope), event_source.channel
    )
