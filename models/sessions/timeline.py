"""A session's timeline: its events by time, ties in arrival order.

An envelope can be megabytes long, so envelopes are read only on request, a few at a time.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import peewee

from models import batches
from models.base import Query, clock
from models.sessions import CountedEvents, Event, Session, prices
from rules.cursors import EventCursor
from rules.events.artifacts import ArtifactEvent
from rules.events.recorded_events import CLIENT
from rules.metrics import analysis

MAX_RECENT_SUBJECTS = 50
MAX_RECENT_SUPERSEDED = 10_000
_ORDER = (Event.time_ns, Event.seq)
# Columns stored before the envelope, so the database does not read it.
_COLUMNS = (
    *(Event.seq, Event.event_id, Event.time_ns, Event.received_at, Event.kind, Event.source),
    *(Event.actor, Event.attribution, Event.late, Event.channel, Event.subject, Event.note, Event.size),
)
COMPACT_COLUMNS = (
    *(Event.time_ns, Event.seq, Event.event_id, Event.kind, Event.actor, Event.attribution, Event.late),
    *(Event.channel, Event.subject, Event.note, Event.size, Event.joins),
)
COMPACT_ROWS = 1000


class Page(NamedTuple):
    """Events as dictionaries, and the next page's cursor; None at the end."""

    events: list[dict[str, Any]]
    next: EventCursor | None


def page(
    session: Session,
    limit: int,
    after: EventCursor | None = None,
    full: bool = False,
    latest_first: bool = False,
    **filters: Any,
) -> Page:
    """Return a page of events.

    full -- include the envelopes, up to `batches.MAX_BYTES`
    filters -- `kind` and `without` (lists), `event_id`, `source`, `actor`, `channel`
    """
    query = _filter_events(session, filters).select(*_COLUMNS)
    rows: Any = list(batches.after(query, _ORDER, after, latest_first).limit(limit + 1).dicts())
    events = rows[:limit]
    if full:
        events = next(batches.split(events, lambda row: row["size"]), [])
    events = _add_counts(session, events)
    is_last = len(events) == len(rows)
    cursor = None if is_last else EventCursor(events[-1]["time_ns"], events[-1]["seq"])
    if full:
        envelopes = Event.envelopes([event["seq"] for event in events])
        # A missing envelope was erased after the query.
        events = [
            event | {"envelope": envelopes[event["seq"]]} for event in events if event["seq"] in envelopes
        ]
    return Page(events, cursor)


def _filter_events(session: Session, filters: dict[str, Any]) -> Query:
    query = Event.select().where(Event.session == session)
    if kinds := filters.get("kind"):
        # Equality reads a single kind in index order.
        query = query.where(Event.kind == kinds[0] if len(kinds) == 1 else Event.kind.in_(kinds))
    if filters.get("without"):
        query = query.where(Event.kind.not_in(filters["without"]))
    for name in ("event_id", "source", "actor", "channel"):
        if (value := filters.get(name)) is not None:
            column = getattr(Event, name)
            query = query.where(column.is_null() if (name, value) == ("channel", CLIENT) else column == value)
    return query


def _add_counts(session: Session, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add `counts`, which is true for events that the metrics include."""
    counted = CountedEvents(session)
    return [row | {"counts": counted.includes(row)} for row in rows]


def find_event(session: Session, event_id: str) -> dict[str, Any] | None:
    """Return an event with its envelope."""
    query = Event.select(*_COLUMNS, Event.envelope)
    row: Any = query.where(Event.session == session, Event.event_id == event_id).dicts().first()
    return _add_counts(session, [row])[0] if row else None


def read_all(session: Session, **filters: Any) -> Iterator[dict[str, Any]]:
    """Yield all matching events with their envelopes, in order."""
    query = _filter_events(session, filters).select(*_COLUMNS, Event.envelope)
    return batches.read_wide(query, _ORDER, Event.size)


def read_compact(session: Session) -> Iterator[list[dict[str, Any]]]:
    """Yield all events in order, as lists of dictionaries with COMPACT_COLUMNS and `counts`."""
    query = Event.select(*COMPACT_COLUMNS).where(Event.session == session)
    counted, last = CountedEvents(session), None
    while rows := list(batches.after(query, _ORDER, last).limit(COMPACT_ROWS).dicts()):
        yield [row | {"counts": counted.includes(row)} for row in rows]
        last = EventCursor(rows[-1]["time_ns"], rows[-1]["seq"])


def artifact_events(session: Session, kinds: list[str]) -> Iterator[ArtifactEvent]:
    """Yield counted events of these kinds, in order."""
    counted = CountedEvents(session)
    for row in read_all(session, kind=kinds):
        if counted.includes(row):
            values = row | {"envelope": json.loads(row.pop("envelope"))}
            yield ArtifactEvent(*(values[name] for name in ArtifactEvent._fields))


def to_json_line(envelope: str) -> bytes:
    """Return an envelope as one line of JSON Lines."""
    # Line breaks in JSON occur only between tokens.
    return envelope.replace("\r", " ").replace("\n", " ").encode() + b"\n"


def analyze(session: Session) -> analysis.Analysis:
    """Analyze the counted events."""
    return analysis.analyze(Event.timeline(session), prices())


def recent_activity(session: Session, minutes: int) -> dict[str, Any]:
    """Return recent activity. Uses the server's clock, because the candidate's clock can be wrong.

    Includes up to MAX_RECENT_SUBJECTS distinct files and commands.
    """
    recent = _select_counted(session).where(Event.received_at >= clock.now() - timedelta(minutes=minutes))
    counts = recent.select(
        peewee.fn.COUNT(Event.seq).alias("events"),
        peewee.fn.COUNT(peewee.Case(None, ((Event.kind == "prompt", 1),))).alias("prompts"),
    )
    row: Any = counts.dicts().get()
    return {
        "event_count": row["events"],
        "prompt_count": row["prompts"],
        "files_changed": _latest_subjects(
            recent.where(Event.kind.in_(("file_diff", "file_create", "file_delete")))
        ),
        "commands": _latest_subjects(recent.where(Event.kind == "command")),
    }


def _select_counted(session: Session) -> Query:
    """Select the counted events."""
    counted = CountedEvents(session)
    events = Event.select().where(Event.session == session, ~Event.late, ~Event.is_context())
    if counted.has_client:
        return events.where(Event.channel.is_null())
    superseded = sorted(counted.superseded)[-MAX_RECENT_SUPERSEDED:]
    return events.where(Event.seq.not_in(superseded)) if superseded else events


def _latest_subjects(events: Query) -> list[str]:
    """Return the latest distinct subjects, oldest first."""
    last_seen = peewee.fn.MAX(Event.seq)
    latest = events.select(Event.subject).where(Event.subject.is_null(False))
    latest = latest.group_by(Event.subject).order_by(last_seen.desc()).limit(MAX_RECENT_SUBJECTS)
    return [subject for (subject,) in reversed(list(latest.tuples()))]
