"""Store events recorded by the service's own channels (R36 to R38)."""

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import peewee

from models import batches, sql
from models.base import clock
from models.keys import CandidateKey
from models.service_secrets import service_secret
from models.sessions.events import Event, ReceivedEvent
from models.sessions.ingest import append
from models.sessions.session import Consent, Session
from rules.events import duplicates, recorded_events
from rules.events.recorded_events import CONTEXT, EventSource, RecordedEvent
from rules.session_quota import DEFAULT_QUOTA, Quota

# Per transaction, which locks the session.
MAX_BATCH = 200
MAX_RUNNING = 500
_STORED = frozenset({"created", "late"})


def consented_channels(session: Session) -> list[Any]:
    """Return the channels that the candidate's disclosures name (R38)."""
    rows = sql.rows(sql.CONSENTED_CHANNELS, key_id=session.key_id)
    return list_channels(channels for (channels,) in rows)


def is_recorded(session: Session, channels: list[Any]) -> bool:
    """Return whether the candidate consented to any channel, or their client records the session (R45)."""
    return bool(channels) or Event.signed_by_client(session).exists()


def requires_consent(key: CandidateKey) -> bool:
    """Return whether the key's session has started, and nothing records it (R45)."""
    session = Session.get_or_none(Session.key == key)
    return session is not None and not is_recorded(session, consented_channels(session))


def list_channels(stored: Iterable[Any]) -> list[Any]:
    """Return the channels in all stored `Consent.channels`."""
    lists = (Consent.channels.python_value(channels) for channels in stored)
    return [channel for channels in lists if isinstance(channels, list) for channel in channels]


def record(
    session: Session,
    *recorded: tuple[EventSource, Sequence[RecordedEvent]],
    quota: Quota = DEFAULT_QUOTA,
) -> int:
    """Store events from one or more agent sessions, in order. Returns how many are new.

    The candidate has consented to their channel (R38). Masks secrets. Skips stored events and events beyond the quota.
    Raises the same errors as `append`.
    """
    events = [event for agent_session in recorded for event in prepare(session, *agent_session)]
    return sum(outcome in _STORED for outcome in store_prepared(session, events, quota=quota))


def prepare(
    session: Session, event_source: EventSource, events: Sequence[RecordedEvent], first: int = 0
) -> list[ReceivedEvent]:
    """Return the events as they will be stored, with masked secrets. Slow: call it before a transaction.

    first -- the number of preceding events, which can have the same time
    """
    now, received_events = clock.now(), []
    for number, event in enumerate(events, first):
        # The number becomes nanoseconds, which keeps events with the same time in order.
        ts, time_ns = recorded_events.event_time(event.at or now, number)
        ids = {"id": event_id(session, event_source, event), "sessionId": str(session.id), "ts": ts}
        envelope = recorded_events.envelope(event_source, event, ids)
        envelope, text = recorded_events.serialize_within_limit(envelope)
        received_events.append(ReceivedEvent.of(envelope, time_ns, text, event_source.channel))
    return received_events


def store_prepared(
    session: Session, events: Sequence[ReceivedEvent], *, quota: Quota = DEFAULT_QUOTA
) -> list[str]:
    """Store a channel's events in order. Returns the outcome of each, and raises the same errors, as `append`."""
    outcomes: list[str] = []
    for start in range(0, len(events), MAX_BATCH):
        outcomes += append(session, *events[start : start + MAX_BATCH], quota=quota)
    return outcomes


def differ_from_stored(session: Session, events: Sequence[ReceivedEvent]) -> bool:
    """Return whether one of these events has the id of a stored event, but other data.

    The id of `context` already identifies its text.
    """
    data = {event.event_id: _data(event.text) for event in events}
    for ids in peewee.chunked(data, batches.MAX_ROWS):
        rows = Event.select(Event.event_id, Event.envelope).where(
            Event.session == session, Event.event_id.in_(ids)
        )
        if any(_data(row.envelope) != data[row.event_id] for row in rows):
            return True
    return False


def _data(envelope: str) -> Any:
    """Return an event's data without its agent. Parallel subagents repeat the events before their start."""
    event = json.loads(envelope)
    return None if event["kind"] == CONTEXT else event["data"] | {"meta": None}


def stored_positions(
    session: Session, event_source: EventSource, events: Sequence[RecordedEvent]
) -> set[int]:
    """Return the positions in `events` of the events that are already stored."""
    ids = [event_id(session, event_source, event) for event in events]
    stored: set[str] = set()
    for start in range(0, len(ids), batches.MAX_ROWS):
        batch = tuple(ids[start : start + batches.MAX_ROWS])
        rows = sql.rows(sql.STORED_IDS.format(ids=sql.any_of("ids")), session_id=session.id, ids=batch)
        stored.update(stored_id for (stored_id,) in rows)
    return {position for position, recorded_id in enumerate(ids) if recorded_id in stored}


def find_running(session: Session, agent_session: str, process_id: int) -> dict[str, Any] | None:
    """Return the data of the event that started a running command.

    Searches the latest MAX_RUNNING commands. Returns None if none of them did.
    """
    commands = Event.select(Event.seq).where(Event.session == session, Event.kind == "command")
    latest = commands.order_by(Event.time_ns.desc(), Event.seq.desc()).limit(MAX_RUNNING)
    key = duplicates.running_key(agent_session, process_id)
    started = Event.select(Event.envelope).where(Event.seq.in_(latest), Event.joins.contains(key))
    event = started.order_by(Event.seq.desc()).first()
    return json.loads(event.envelope)["data"] if event else None


def event_id(session: Session, event_source: EventSource, event: RecordedEvent) -> str:
    """Return the event's deterministic id (R36). It depends on a secret, so clients cannot claim it first.

    A context has the same id in all agent sessions, because its text is stored once.
    """
    agent_session = "" if event.kind == recorded_events.CONTEXT else event_source.agent_session
    parts = [event_source.channel, agent_session, event.identity, event.kind, event.index]
    namespace = uuid.UUID(bytes=service_secret("recording")[:16])
    return str(uuid.uuid5(namespace, json.dumps([str(session.id), *parts])))
