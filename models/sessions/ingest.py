"""Store events (R18, R29) within the session's quota, locking the session against a concurrent close."""

from datetime import datetime
from typing import Any

from errors import SessionClosed, Unauthenticated
from models import sql
from models.base import clock, db, is_postgres
from models.batches import Row
from models.ledger import keys
from models.sessions import quota as quotas
from models.sessions.events import Event, ReceivedEvent, SigningKey
from models.sessions.session import Session
from rules import candidate_keys, session_close, session_quota
from rules.ledger.arrivals import AcceptedEvent
from rules.rows import row_id
from rules.session_quota import DEFAULT_QUOTA, Quota, Usage
from rules.timestamps import format_timestamp

_LOCKED = sql.Columns(
    Session,
    "s",
    "id key closed_at closes_at stored_event_count stored_event_bytes stored_bundle_bytes counted_seq "
    "rejected_event_count metrics_due",
)


def store_if_open(key_text: str, event: ReceivedEvent, quota: Quota, session_id: Any = None) -> Any:
    """Store an event in the key's open session under a shared lock. Returns the key's id.

    Returns None if the key is unknown or not redeemed, the session is closed, almost full or not `session_id`, its
    events must be counted first, or the event id exists. The caller then calls `append`, which stores the event or
    raises the error.
    """
    key = candidate_keys.normalize(key_text)
    if key is None or quotas.requires_count(key, event):
        return None
    signing_keys = (
        sql.rows(sql.prepare(sql.PUBLIC_KEYS), key=key, session_id=session_id) if event.is_signed else []
    )
    row = Event.row(event, [public_key for (public_key,) in signing_keys])
    now = clock.now()
    row |= {"received_at": now, "late": False}
    row["arrival_mac"] = arrival_mac(key, row)
    key_id = _store_under_shared_lock(key, row, quota, session_id)
    if key_id is not None:
        quotas.record_uncounted(key)
    return key_id


def _store_under_shared_lock(key: str, row: Row, quota: Quota, session_id: Any) -> Any:
    search = {"key": key, "session_id": session_id, "now": row["received_at"], "size": row["size"]}
    search |= quotas.under_shared_lock(quota)._asdict()
    if is_postgres():
        stored = sql.rows(sql.prepare(sql.STORE_EVENT), **(search | row))
        return next((key_id for _, key_id, is_stored in stored if is_stored), None)
    insert = sql.INSERT_EVENT.format(session=":session", source="WHERE true")
    with db.atomic():
        for session, key_id in sql.rows(sql.OPEN_SESSION, **search):
            if sql.execute(insert, session=session, **row).rowcount == 1:
                return row_id(key_id)
    return None


def append(session: Session, *events: ReceivedEvent, quota: Quota = DEFAULT_QUOTA) -> list[str]:
    """Store events in a transaction and return the outcome of each event.

    An outcome is `created`, `late` (stored, but does not count), `skipped` (the id exists) or `full` (exceeds the
    quota, not stored).

    Raises SessionClosed more than 24 hours after the close or once the candidate is erased, and Unauthenticated if the
    session's key was revoked.
    """
    # Before the lock, because verifying signatures takes time.
    public_keys = SigningKey.of(session) if any(event.is_signed for event in events) else []
    rows = [Event.row(event, public_keys) for event in events]
    # Part of the caller's transaction, if there is one, without a savepoint.
    with db.transaction():
        lock = "FOR NO KEY UPDATE OF s" if is_postgres() else ""
        locked_rows = sql.rows(
            sql.LOCK_SESSION.format(session=_LOCKED.text, lock=lock), session_id=session.id
        )
        if not locked_rows:
            raise Unauthenticated()
        *columns, key = locked_rows[0]
        locked, now = _LOCKED.build(columns), clock.now()
        window = session_close.intake_window(now, locked.closed_as_of(now))
        # An erasure closes the session first, so an open session needs no check.
        if window == "over" or (window != "open" and locked.is_erased):
            raise SessionClosed()
        return _store(locked, key, rows, now, window, quota)


def arrival_mac(key: str, row: dict[str, Any]) -> str:
    """Return the MAC of a new event."""
    fields = {
        "received_at": format_timestamp(row["received_at"]),
        "late": row["late"],
        "verdict": row["verdict"],
        "channel": row.get("channel"),
    }
    return AcceptedEvent.of(row["envelope"], candidate_key=key, **fields).sign(*keys.signing())


def _store(
    session: Session, key: str, rows: list[Row], now: datetime, window: str, quota: Quota
) -> list[str]:
    usage = quotas.usage(session)
    has_space = _has_space(session, rows, usage, quota)
    common = {"session": session.id, "received_at": now, "late": window == "late"}
    rows = [row | common for row in rows]
    for row in rows:
        row["arrival_mac"] = arrival_mac(key, row)
    new = _insert([row for row, fits in zip(rows, has_space, strict=True) if fits])
    if new or not all(has_space):
        new_bytes = sum(size for _, size in new.values())
        rejected = has_space.count(False)
        if session.closed_at is not None:
            if rejected and window == "flush":
                closed = Session.get_by_id(session.id)
                total = closed.rejected_event_count + rejected
                closed.record_change("events_rejected", rejected_event_count=total)
                session.rejected_event_count = total
            rejected = 0  # late events do not count (R18)
        sql.execute(
            sql.UPDATE_STORED,
            session_id=session.id,
            stored_event_count=usage.events + len(new),
            stored_event_bytes=usage.bytes - session.stored_bundle_bytes + new_bytes,
            counted_seq=max([session.counted_seq, *(seq for seq, _ in new.values())]),
            rejected_event_count=session.rejected_event_count + rejected,
            metrics_due=session.metrics_due or (window == "flush" and bool(new)),
        )
    outcome = "late" if window == "late" else "created"
    # If two events in a batch have the same id, the second is skipped.
    return [
        "full" if not fits else outcome if new.pop(row["event_id"], None) else "skipped"
        for row, fits in zip(rows, has_space, strict=True)
    ]


def _has_space(session: Session, rows: list[Row], usage: Usage, quota: Quota) -> list[bool]:
    if Usage(usage.events + len(rows), usage.bytes + sum(row["size"] for row in rows)).is_within(quota):
        return [True] * len(rows)
    ids = [row["event_id"] for row in rows]
    stored = Event.select(Event.event_id).where(Event.session == session, Event.event_id.in_(ids))
    sizes = [(row["event_id"], row["size"]) for row in rows]
    return session_quota.admit_events(sizes, {event.event_id for event in stored}, usage, quota)


def _insert(rows: list[Row]) -> dict[str, tuple[int, int]]:
    """Insert events. Returns the arrival number and size of each new event, by id."""
    if not rows:
        return {}
    new = sql.rows(sql.insert_events(len(rows)), **sql.event_parameters(rows))
    return {event_id: (seq, size) for event_id, seq, size in new}
