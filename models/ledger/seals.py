"""The seals of a session's events: a hash chain in arrival order (rules/integrity/seals.py)."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.base import BytesField, ErasedWithSession, Model, PersonalData, Query, db, for_update
from models.database import process_lock
from models.fields import BigIntegerField, IntegerField, TextField
from models.ledger import audit, seal_keys
from models.ledger.audit import AuditChain
from models.numbering import number_all
from models.sessions import Event, Session, final_seals
from models.sessions.final_seals import FinalSeal
from rules.integrity import seals
from rules.timestamps import format_timestamp

# An event can commit after events with later arrival numbers, but rarely after this many.
SEARCH_MARGIN = 2_000
# Sessions signed in one transaction, which blocks other writers on SQLite.
ADOPTION_BATCH_SIZE = 500
MAX_POSITION = 2**31

log = logging.getLogger("proofstone.worker")


class Seal(Model, ErasedWithSession):
    """An event's link in its session's chain, written by the worker after the event's commit."""

    personal_data = PersonalData("seals", None)

    session = peewee.ForeignKeyField(Session, index=False)
    position = IntegerField()
    event_seq = BigIntegerField(unique=True)
    event_id = TextField()
    key_id = TextField(null=True)
    head = BytesField()

    class Meta:
        indexes = ((("session", "position"), True),)

    @classmethod
    def seal_new(cls) -> int:
        """Seal the events committed since the last run; return how many."""
        adopt_keys()
        return number_all("seal", unsealed(cls.search_start()).select(Event.session), seal_batch)

    @classmethod
    def seal_skipped(cls) -> int:
        """Seal events that committed too late for `seal_new`. Reads all events."""
        adopt_keys()
        return number_all("seal", unsealed().select(Event.session), seal_batch)

    @classmethod
    def search_start(cls) -> int:
        # In a changed database, the column may contain text, or a number beyond all events.
        is_event = cls.event_seq <= Event.select(peewee.fn.MAX(Event.seq))
        return (cls.select(peewee.fn.MAX(cls.event_seq)).where(is_event).scalar() or 0) - SEARCH_MARGIN

    @classmethod
    def last_position(cls, session: Session) -> int:
        is_number = cls.position < MAX_POSITION  # text is greater than any number
        return cls.select(peewee.fn.MAX(cls.position)).where(cls.session == session, is_number).scalar() or 0

    @classmethod
    def head_at(cls, session: Session, position: int) -> bytes | None:
        return cls.select(cls.head).where(cls.session == session, cls.position == position).scalar()

    @classmethod
    def sealed(cls, session: Session, last: int) -> Iterator[dict[str, Any]]:
        """Yield the seals up to a position with their event's columns, which are None if the event is missing."""
        query = cls.select(cls.position, cls.event_seq, cls.key_id, cls.head, *EVENT_COLUMNS)
        sealed_event = (Event.seq == cls.event_seq) & (Event.session == session)
        query = query.join(Event, peewee.JOIN.LEFT_OUTER, on=sealed_event)
        query = query.where(cls.session == session, cls.position <= last)
        return batches.read_wide(query, [cls.position], Event.size)

    @classmethod
    def event_id_at(cls, session: Session, position: int) -> str | None:
        return cls.select(cls.event_id).where(cls.session == session, cls.position == position).scalar()


# The event columns that are compared with the seal and the envelope.
_COMPARED = (
    "event_id kind source actor attribution time_ns received_at late size verdict arrival_mac channel agent_session "
    "joins envelope"
)
EVENT_COLUMNS = [getattr(Event, name) for name in _COMPARED.split()]


def unsealed(after: int = 0) -> Query:
    """Select the events without a seal that have an arrival number above `after`."""
    # Both tables have the limit, or the database would read all seals. A different session's seal is ignored: someone
    # wrote it into the database to hide the event.
    seal = (Seal.event_seq == Event.seq) & (Seal.session == Event.session) & (Seal.event_seq > after)
    events = Event.select(Event.seq, Event.event_id, Event.received_at, Event.envelope)
    return events.join(Seal, peewee.JOIN.LEFT_OUTER, on=seal).where(Event.seq > after, Seal.id.is_null())


def seal_batch(session_id: Any, has_key: bool = True) -> int:
    """Seal a session's next unsealed events; return how many."""
    key_id, secret = seal_keys.signing() if has_key else (None, None)
    with db.atomic():
        session = Session(id=session_id).lock()
        head = session.seal_head or seals.initial_head(str(session_id))
        links: list[Seal] = []
        waiting = unsealed().where(Event.session == session_id)
        rows = batches.first_wide(waiting, [Event.seq], Event.size)
        for position, row in enumerate(rows, session.sealed_count + 1):
            received_at = format_timestamp(row["received_at"])
            head = seals.next_head(head, row["seq"], received_at, digest(row["envelope"]), secret)
            event = {"event_seq": row["seq"], "event_id": row["event_id"], "key_id": key_id}
            links.append(Seal(session=session_id, position=position, head=head, **event))
        if links:
            Seal.bulk_create(links)
            count = session.sealed_count + len(links)
            if has_key:
                _extend(session, head, count)
            else:
                session.update_columns(seal_head=head, sealed_count=count)
            # Every transaction that locks both rows locks the session first.
            AuditChain.add(session.organization_id, sealed_events=len(links))
    return len(links)


def _extend(session: Session, head: bytes, count: int) -> None:
    """Update the session's head. If it already has a final seal, append one for the late events."""
    newest = FinalSeal.newest(session) if session.final_seal_count else None
    final_seals.update_record(session, newest, newest, seal_head=head, sealed_count=count)
    if newest is None or not newest.is_intact:
        return
    # Late events only extend the chain. A new seal would cover up any other change.
    sealed = newest.parts["events"]
    before = Seal.head_at(session, sealed["count"]) if sealed["count"] else None
    if count > sealed["count"] and (before and before.hex()) == sealed["head"]:
        final_seals.append(session, "late_events", "events")


def adopt_keys() -> None:
    """Sign the rows from before the first seal key, once per installation.

    Each batch is a transaction, so an interrupted adoption continues. Earlier seals and audit entries keep their
    hashes. After the adoption, an unsigned row is a break.
    """
    if not AuditChain.awaits_adoption():
        return
    while _adopt_sessions():
        pass
    # Without a key, because the organizations' rows are not signed yet.
    while audit.chain_new():
        pass
    if _adopt_organizations():
        log.warning("SEAL_KEYS is new: signed the existing sessions and organizations.")


def _adopt_sessions() -> int:
    """Sign the next sessions that were created without a key; return how many."""
    unsigned = Session.select(Session.id).where(Session.seal_key_id.is_null()).order_by(Session.id)
    with process_lock("seal_keys"), db.atomic():
        if not AuditChain.awaits_adoption():
            return 0
        ids = [session.id for session in for_update(unsigned.limit(ADOPTION_BATCH_SIZE))]
        waiting: Any = unsealed().select(Event.session).where(Event.session.in_(ids)).distinct().tuples()
        for (session_id,) in list(waiting):
            while seal_batch(session_id, has_key=False):
                pass
        for session in Session.select().where(Session.id.in_(ids)):
            newest = FinalSeal.newest(session) if session.final_seal_count else None
            session.update_columns(**final_seals.sign_record(session, newest))
    return len(ids)


def _adopt_organizations() -> bool:
    """Sign all organizations' rows; return False if they are already signed."""
    with process_lock("seal_keys"), db.atomic():
        if not AuditChain.awaits_adoption():
            return False
        for chain in AuditChain.select().order_by(AuditChain.id):
            chain.lock().adopt()
    return True


def digest(envelope: str) -> bytes:
    return hashlib.sha256(envelope.encode()).digest()
