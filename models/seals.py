"""The seal of a session's events: a hash chain in the order of arrival (rules/seals.py)."""

import hashlib
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.base import BytesField, ErasedWithSession, Model, PersonalData, Query, db
from models.numbering import number_all
from models.sessions import Event, Session
from rules import seals
from rules.timestamps import format_timestamp

# An event can commit after events with later numbers of arrival, but rarely after so many.
SEARCH_MARGIN = 2_000


class Seal(Model, ErasedWithSession):
    """The link of one event in its session's chain, written by the worker after the event's commit."""

    personal_data = PersonalData("seals", None)

    session = peewee.ForeignKeyField(Session, index=False)
    position = peewee.IntegerField()
    event_seq = peewee.BigIntegerField(unique=True)
    event_id = peewee.TextField()
    head = BytesField()

    class Meta:
        indexes = ((("session", "position"), True),)

    @classmethod
    def seal_new(cls) -> int:
        """Seal the events committed since the last run; returns how many."""
        return number_all("seal", unsealed(cls.search_start()).select(Event.session), seal_batch)

    @classmethod
    def seal_skipped(cls) -> int:
        """Seal events that committed too late for `seal_new`; reads all events."""
        return number_all("seal", unsealed().select(Event.session), seal_batch)

    @classmethod
    def search_start(cls) -> int:
        return (cls.select(peewee.fn.MAX(cls.event_seq)).scalar() or 0) - SEARCH_MARGIN

    @classmethod
    def breaks(cls, session: Session) -> list[tuple[seals.Break, str | None]]:
        """The differences between a session and its seal, each with its event's id if known.

        Correct while the worker seals.
        """
        # Read before the session's head: events sealed after this are left for the next check.
        last = cls.select(peewee.fn.MAX(cls.position)).where(cls.session == session).scalar() or 0
        stored = Session.select(Session.seal_head, Session.sealed_count).where(Session.id == session.id).get()
        rows = cls._sealed(session, max(last, stored.sealed_count))
        breaks = seals.find_breaks(str(session.id), rows, stored.seal_head, stored.sealed_count)
        return [(broken, cls._event_id(session, broken.position)) for broken in breaks]

    @classmethod
    def _sealed(cls, session: Session, last: int) -> Iterator[seals.SealedEvent]:
        query = cls.select(cls.position, cls.event_seq, Event.received_at, Event.envelope, cls.head)
        sealed_event = (Event.seq == cls.event_seq) & (Event.session == session)
        query = query.join(Event, peewee.JOIN.LEFT_OUTER, on=sealed_event)
        query = query.where(cls.session == session, cls.position <= last)
        for row in batches.read_wide(query, [cls.position], Event.size):
            is_stored = row["envelope"] is not None
            arrived = format_timestamp(row["received_at"]) if is_stored else None
            content = digest(row["envelope"]) if is_stored else None
            yield seals.SealedEvent(row["position"], row["event_seq"], arrived, content, row["head"])

    @classmethod
    def _event_id(cls, session: Session, position: int) -> str | None:
        return cls.select(cls.event_id).where(cls.session == session, cls.position == position).scalar()


def unsealed(after: int = 0) -> Query:
    """The events without a seal whose number of arrival is greater than `after`."""
    # Limits both tables, or the database would read all seals.
    seal = (Seal.event_seq == Event.seq) & (Seal.event_seq > after)
    events = Event.select(Event.seq, Event.event_id, Event.received_at, Event.envelope)
    return events.join(Seal, peewee.JOIN.LEFT_OUTER, on=seal).where(Event.seq > after, Seal.id.is_null())


def seal_batch(session_id: Any) -> int:
    """Seal unsealed events of a session; returns how many."""
    with db.atomic():
        session = Session(id=session_id).lock()
        head = session.seal_head or seals.initial_head(str(session_id))
        links: list[Seal] = []
        waiting = unsealed().where(Event.session == session_id)
        rows = batches.first_wide(waiting, [Event.seq], Event.size)
        for position, row in enumerate(rows, session.sealed_count + 1):
            received_at = format_timestamp(row["received_at"])
            head = seals.next_head(head, row["seq"], received_at, digest(row["envelope"]))
            event = {"event_seq": row["seq"], "event_id": row["event_id"]}
            links.append(Seal(session=session_id, position=position, head=head, **event))
        if links:
            Seal.bulk_create(links)
            session.update_columns(seal_head=head, sealed_count=session.sealed_count + len(links))
    return len(links)


def digest(envelope: str) -> bytes:
    return hashlib.sha256(envelope.encode()).digest()
