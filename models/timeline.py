"""A session's timeline, read: by event time, ties in order of arrival, a page at the same cost wherever it lies.

A page is found by an index from where the one before ended, and no envelope is read to show what an event is about.
Envelopes can be megabytes, so they are read some at a time: never many more than `MOST_BYTES` at once.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import peewee

from models.base import Query, clock
from models.sessions import Event, Session, prices
from rules import summaries
from rules.analysis import Analysis, analyze
from rules.artifacts import ArtifactEvent

MOST_BYTES = 4 * 1024 * 1024
EVENTS_AT_A_TIME = 200
MOST_NAMED = 50
_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,19})", re.ASCII)
_INT64 = range(-(2**63), 2**63)
_CHANGES = ("file_diff", "file_create", "file_delete")
# What stands before the envelope in its table, so that a page does not read through it.
COLUMNS = (
    Event.seq,
    Event.event_id,
    Event.time_ns,
    Event.received_at,
    Event.kind,
    Event.source,
    Event.actor,
    Event.attribution,
    Event.late,
    Event.subject,
    Event.note,
    Event.size,
)


class Cursor(NamedTuple):
    """The place of an event: when it happened, and its number of arrival."""

    time_ns: int
    seq: int

    def __str__(self) -> str:
        return f"{self.time_ns}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that `str` wrote; ValueError for anything else."""
        match = _CURSOR.fullmatch(text)
        numbers = [int(number) for number in match.groups()] if match else []
        if not numbers or not all(number in _INT64 for number in numbers):
            raise ValueError("This is not a cursor that an earlier page gave as `next`.")
        return cls(*numbers)


class Page(NamedTuple):
    """Events as mappings of their columns, and where the next page begins; None at the end."""

    events: list[dict[str, Any]]
    next: Cursor | None


def page(
    session: Session, limit: int, after: Cursor | None = None, full: bool = False, **filters: Any
) -> Page:
    """The events after a cursor; with `full` with their envelopes, and then no more than fit.

    filters -- `kind` and `without`, both several; `source`, `actor`
    """
    found = list(query(session, after, filters).limit(limit + 1))
    events = _that_fit(found[:limit]) if full else found[:limit]
    is_last = len(events) == len(found)
    following = None if is_last else Cursor(events[-1]["time_ns"], events[-1]["seq"])
    return Page(_with_envelopes(events) if full else events, following)


def query(session: Session, after: Cursor | None, filters: dict[str, Any]) -> Query:
    """The events after a cursor in order, without their envelopes."""
    found = Event.select(*COLUMNS).where(Event.session == session)
    if after is not None:
        found = found.where(peewee.Tuple(Event.time_ns, Event.seq) > peewee.Tuple(*after))
    kinds = filters.get("kind") or []
    if len(kinds) == 1:
        # A single kind is read in the order of its own index.
        found = found.where(Event.kind == kinds[0])
    elif kinds:
        found = found.where(Event.kind.in_(kinds))
    if filters.get("without"):
        found = found.where(Event.kind.not_in(filters["without"]))
    for name in ("source", "actor"):
        if filters.get(name) is not None:
            found = found.where(getattr(Event, name) == filters[name])
    return found.order_by(Event.time_ns, Event.seq).dicts()


def event(session: Session, event_id: str) -> dict[str, Any] | None:
    """One event with its envelope."""
    found = Event.select(*COLUMNS, Event.envelope).where(Event.session == session, Event.event_id == event_id)
    return found.dicts().first()


def everything(session: Session, **filters: Any) -> Iterator[dict[str, Any]]:
    """All events with their envelopes in order, without ever holding many of them."""
    cursor = None
    while True:
        part = page(session, EVENTS_AT_A_TIME, cursor, full=True, **filters)
        yield from part.events
        cursor = part.next
        if cursor is None:
            return


def happenings(session: Session, kinds: list[str]) -> Iterator[ArtifactEvent]:
    """The events of these kinds that count, in order."""
    for row in everything(session, kind=kinds):
        if not row["late"]:
            yield ArtifactEvent(
                row["event_id"],
                row["time_ns"],
                row["kind"],
                row["source"],
                row["actor"],
                row["attribution"],
                json.loads(row["envelope"]),
            )


def one_line(envelope: str) -> str:
    """An envelope as it came, on one line: white space between members may hold line ends; within texts JSON has
    none."""
    return envelope.replace("\r", " ").replace("\n", " ")


def summary(row: dict[str, Any]) -> str:
    return summaries.format_summary(row["subject"], row["note"])


def analysis(session: Session) -> Analysis:
    """The analysis of the events that count, as they are now."""
    return analyze(Event.timeline(session), prices())


def recent_activity(session: Session, minutes: int) -> dict[str, Any]:
    """What arrived in the last minutes by the server's clock, since the candidate's may be wrong (contract 3.14).

    Files and commands are named as their summaries have them, each once, the latest `MOST_NAMED` of them.
    """
    arrived = Event.received_at >= clock.now() - timedelta(minutes=minutes)
    recent = Event.select().where(Event.session == session, arrived, ~Event.late)
    counts = recent.select(
        peewee.fn.COUNT(Event.seq).alias("events"),
        peewee.fn.COUNT(peewee.Case(None, ((Event.kind == "prompt", 1),))).alias("prompts"),
    )
    row: Any = counts.dicts().get()
    return {
        "event_count": row["events"],
        "prompt_count": row["prompts"],
        "files_changed": _subjects(recent.where(Event.kind.in_(_CHANGES))),
        "commands": _subjects(recent.where(Event.kind == "command")),
    }


def _subjects(events: Query) -> list[str]:
    """What the events are about, each once, in the order in which it was last seen."""
    last_seen = peewee.fn.MAX(Event.seq)
    latest = events.select(Event.subject).where(Event.subject.is_null(False))
    latest = latest.group_by(Event.subject).order_by(last_seen.desc()).limit(MOST_NAMED)
    return [subject for (subject,) in reversed(list(latest.tuples()))]


def _that_fit(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as come to MOST_BYTES together, but at least one."""
    total = 0
    for number, found in enumerate(events):
        total += found["size"]
        if total > MOST_BYTES and number > 0:
            return events[:number]
    return events


def _with_envelopes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    numbers = [found["seq"] for found in events]
    rows: Any = Event.select(Event.seq, Event.envelope).where(Event.seq.in_(numbers)).tuples()
    envelopes: dict[int, str] = dict(rows)
    # One that is missing has been erased in between.
    return [found | {"envelope": envelopes[found["seq"]]} for found in events if found["seq"] in envelopes]
