"""Store events (R18, R29), with a lock against the session's close."""

from datetime import datetime
from typing import Any

from errors import SessionClosed, Unauthenticated
from models import seal_keys, sql
from models.assessments import Assessment
from models.base import clock, db, for_update, is_postgres
from models.keys import CandidateKey
from models.sessions.events import Arrival, Event, SigningKey
from models.sessions.session import Session
from rules import candidate_keys, session_close
from rules.arrivals import AcceptedEvent
from rules.rows import row_id
from rules.timestamps import format_timestamp


def store_if_open(key_text: str, arrival: Arrival, session_id: Any = None) -> Any:
    """Store an event of the open session of a candidate key; returns the key's id.

    None if nothing was stored: the key is unknown or not redeemed, the session has closed or is not `session_id`, or
    the event's id exists. `append` raises the error. Concurrent events of one session share its lock.
    """
    key = candidate_keys.normalize(key_text)
    if key is None:
        return None
    public_keys = SigningKey.of_candidate_key(key, session_id) if arrival.is_signed else []
    row = Event.row(arrival, public_keys)
    now = clock.now()
    row |= {"received_at": now, "late": False}
    row["arrival_mac"] = _arrival_mac(key, row)
    search = {"key": key, "session_id": session_id, "now": now}
    if is_postgres():
        stored = sql.rows(sql.STORE_EVENT, **search, **row)
        return next((key_id for _, key_id, is_stored in stored if is_stored), None)
    insert = sql.INSERT_EVENT.format(session=":session", source="WHERE true")
    with db.atomic():
        for session, key_id in sql.rows(sql.OPEN_SESSION, **search):
            if sql.execute(insert, session=session, **row).rowcount == 1:
                return row_id(key_id)
    return None


def append(session: Session, *arrivals: Arrival) -> list[str]:
    """Store events, all or none: each is `created`, `late` (stored, does not count) or `skipped` (its id exists).

    Raises SessionClosed more than 24 hours after the close or once the candidate is erased, and Unauthenticated if
    the session's key was revoked.
    """
    # Before the lock, since verifying signatures takes time.
    public_keys = SigningKey.of(session) if any(arrival.is_signed for arrival in arrivals) else []
    rows = [Event.row(arrival, public_keys) for arrival in arrivals]
    with db.atomic():
        locked = _lock_with_key(session)
        now = clock.now()
        return _store(locked, rows, now, session_close.intake_window(now, locked.closed_as_of(now)))


def _arrival_mac(key: str, row: dict[str, Any]) -> str | None:
    """The MAC of a new event's row; None without a seal key."""
    key_id, secret = seal_keys.signing()
    if secret is None:
        return None
    members = {
        "received_at": format_timestamp(row["received_at"]),
        "late": row["late"],
        "verdict": row["verdict"],
    }
    return AcceptedEvent.of(row["envelope"], candidate_key=key, **members).sign(key_id, secret)


def _lock_with_key(session: Session) -> Session:
    query = (
        Session.select(Session, CandidateKey.id, CandidateKey.key)
        .join(CandidateKey)
        .switch(Session)
        .join(Assessment)
    )
    query = query.where(CandidateKey.revoked_at.is_null(), Assessment.deleted_at.is_null())
    locked = for_update(query.where(Session.id == session.id), of=Session).get_or_none()
    if locked is None:
        raise Unauthenticated()
    return locked


def _store(session: Session, rows: list[dict[str, Any]], now: datetime, window: str) -> list[str]:
    # An erasure closes the session first, so an open one needs no check.
    if window == "over" or (window != "open" and session.is_erased):
        raise SessionClosed()
    common = {"session": session, "received_at": now, "late": window == "late"}
    rows = [row | common for row in rows]
    for row in rows:
        row["arrival_mac"] = _arrival_mac(session.key.key, row)
    insert = Event.insert_many(rows).on_conflict_ignore().returning(Event.event_id)
    new = {row.event_id for row in insert.execute()}
    if new and window == "flush":
        session.update_columns(metrics_due=True)
    outcome = "late" if window == "late" else "created"
    outcomes = []
    for row in rows:
        outcomes.append(outcome if row["event_id"] in new else "skipped")
        # Of two events with one id in a batch, the second is skipped.
        new.discard(row["event_id"])
    return outcomes
