"""The server's own seal on a session's events: a hash chain in the order of arrival (rules/seals.py)."""

import hashlib
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.assessments import CandidateKey
from models.base import BytesField, Model, Query, db, insert_rows
from models.sessions import Event, Session
from rules import seals
from rules.instants import text_of

# A transaction that took its number of arrival a while ago commits behind later ones, though seldom behind as many.
MARGIN = 2_000


class Seal(Model):
    """That one event was there, and behind which other one; written by the worker, after the event's commit."""

    session = peewee.ForeignKeyField(Session, index=False)
    position = peewee.IntegerField()
    event_seq = peewee.BigIntegerField(unique=True)
    event_id = peewee.TextField()
    head = BytesField()

    class Meta:
        table_name = "seals"
        indexes = ((("session", "position"), True),)

    @classmethod
    def of_person(cls, key: CandidateKey, session: Session | None) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_of(cls, key: CandidateKey, session: Session | None) -> int:
        """The links go with the events that they bear witness of; the session keeps its last head."""
        return cls.delete().where(cls.session == session).execute()

    @classmethod
    def seal_new(cls) -> int:
        """Seal what has been accepted since the last time; returns how many events."""
        latest = cls.select(peewee.fn.MAX(cls.event_seq)).scalar() or 0
        return cls._seal_since(latest - MARGIN)

    @classmethod
    def seal_left_over(cls) -> int:
        """Seal what came behind so many later events that `seal_new` passed it by: looks at all that there is."""
        return cls._seal_since(0)

    @classmethod
    def _seal_since(cls, seq: int) -> int:
        waiting = without_seal(seq).select(Event.session).distinct()
        return sum(cls.seal_session(session_id) for (session_id,) in list(waiting.tuples()))

    @classmethod
    def seal_session(cls, session_id: Any) -> int:
        """Seal all that is not yet sealed of one session, some at a time; returns how many events."""
        count = 0
        while sealed := cls._seal_some(session_id):
            count += sealed
        return count

    @classmethod
    def _seal_some(cls, session_id: Any) -> int:
        with db.atomic():
            session = Session(id=session_id).take_turn()
            unsealed = without_seal().where(Event.session == session_id)
            head = session.seal_head or seals.beginning(str(session_id))
            rows: list[dict[str, Any]] = []
            for seq, event_id, received_at, envelope in batches.piece(unsealed, Event.seq, Event.size):
                head = seals.seal(head, seq, text_of(received_at), digest(envelope))
                position = session.sealed_count + len(rows) + 1
                rows.append(cls._row(session_id, position, seq, event_id, head))
            if rows:
                insert_rows(cls, rows)
                sealed_count = session.sealed_count + len(rows)
                Session.update(seal_head=head, sealed_count=sealed_count).where(
                    Session.id == session_id
                ).execute()
        return len(rows)

    @staticmethod
    def _row(session_id: Any, position: int, seq: int, event_id: str, head: bytes) -> dict[str, Any]:
        return {
            "session": session_id,
            "position": position,
            "event_seq": seq,
            "event_id": event_id,
            "head": head,
        }

    @classmethod
    def breaks(cls, session: Session) -> list[tuple[seals.Break, str | None]]:
        """Where the session is not as it was sealed, each with the id of the event concerned if it is known; also
        while the worker goes on sealing."""
        # Read before the session's head, which moves with it: no seal may lie beyond, and what is sealed while this
        # looks is left for the next time.
        last = cls.select(peewee.fn.MAX(cls.position)).where(cls.session == session).scalar() or 0
        stored = Session.select(Session.seal_head, Session.sealed_count).where(Session.id == session.id).get()
        rows = cls._sealed(session, max(last, stored.sealed_count))
        found = seals.breaks(str(session.id), rows, stored.seal_head, stored.sealed_count)
        return [(each, cls._event_id(session, each.position)) for each in found]

    @classmethod
    def _sealed(cls, session: Session, last: int) -> Iterator[seals.Sealed]:
        query = cls.select(cls.position, cls.event_seq, Event.received_at, Event.envelope, cls.head)
        query = query.join(
            Event, peewee.JOIN.LEFT_OUTER, on=(Event.seq == cls.event_seq) & (Event.session == session)
        )
        query = query.where(cls.session == session, cls.position <= last)
        for position, seq, received_at, envelope, head in batches.rows(query, cls.position, Event.size):
            present = envelope is not None
            arrived, content = (text_of(received_at), digest(envelope)) if present else (None, None)
            yield seals.Sealed(position, seq, arrived, content, head)

    @classmethod
    def _event_id(cls, session: Session, position: int) -> str | None:
        return cls.select(cls.event_id).where(cls.session == session, cls.position == position).scalar()


def without_seal(since: int = 0) -> Query:
    """The events with a later number of arrival than `since` that have no seal."""
    unsealed = Event.select(Event.seq, Event.event_id, Event.received_at, Event.envelope)
    # The bound stands on both sides, or the database would read all seals to find those that are missing.
    own = (Seal.event_seq == Event.seq) & (Seal.event_seq > since)
    return unsealed.join(Seal, peewee.JOIN.LEFT_OUTER, on=own).where(Event.seq > since, Seal.id.is_null())


def digest(envelope: str) -> bytes:
    return hashlib.sha256(envelope.encode()).digest()
