"""Redeem a candidate key (R4, R28 to R31)."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from errors import AlreadyRedeemed, ConsentRequired, KeyExpired, KeyNotFound, SessionClosed, TimeLimitPassed
from models.base import clock, db
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.orgs import Organization
from models.sessions.close import close_at_limit
from models.sessions.events import Event, SigningKey
from models.sessions.session import Consent, Session, lock_key
from models.tasks.files import REPOSITORY, TaskFile
from rules import session_close


def find_key(key_text: str) -> CandidateKey:
    """Find the key from a request body or query. Raises KeyNotFound and KeyExpired (R30)."""
    key = CandidateKey.find(key_text)
    if key is None:
        raise KeyNotFound()
    if not key.is_usable:
        raise KeyExpired()
    return CandidateKey.with_parents().where(CandidateKey.id == key.id).get()


def redeem(
    key_text: str, public_key: str | None = None, get_disclosure: Callable[[Organization], Any] | None = None
) -> Session:
    """Start the key's session, or return it if the client lost the response (R31).

    get_disclosure -- returns the current disclosure, to which the candidate must have consented unless the client
        displayed its own; by default any consent counts

    Raises KeyNotFound, KeyExpired, ConsentRequired and AlreadyRedeemed.
    """
    with db.atomic():
        lock_key(find_key(key_text))
        # Reload: the expiry or time limit can have changed before the lock.
        key = find_key(key_text)
        session = Session.get_or_none(Session.key == key)
        if session is None:
            session = _start(key, get_disclosure and get_disclosure(key.organization)["hash"])
        else:
            _redeem_again(session)
        SigningKey.add(session, public_key)
    session.key, session.assessment = key, key.assessment
    return session


def _start(key: CandidateKey, disclosure_hash: str | None) -> Session:
    consents = Consent.select().where(Consent.key == key)
    if disclosure_hash:
        is_current = (Consent.disclosure_hash == disclosure_hash) | Consent.disclosure_hash.is_null()
        consents = consents.where(is_current)
    if not consents.exists():
        raise ConsentRequired()
    # Prevents changes to the assessment after the candidate has seen it.
    key.assessment = key.assessment.lock("FOR SHARE")
    now = clock.now()
    owners = {"organization": key.organization_id, "assessment": key.assessment_id}
    times = {"created_at": now, "closes_at": _close_deadline(key, now), "task_read_at": key.task_read_at}
    repository = TaskFile.find(key.assessment_id, REPOSITORY)
    # 256 bits: the URL is the only credential of a clone.
    token = secrets.token_urlsafe(32) if repository else None
    hosted = {"repository": repository, "repository_token": token}
    session = Session.create(**owners, key=key, **times, **hosted)
    # From now on, the ledger protects the key, and reads of the task write nothing.
    key.protect(task_read_at=key.task_read_at or now)
    FeedEvent.publish(session.organization_id, "session.started", session.ids | {"status": "active"})
    return session


def _redeem_again(session: Session) -> None:
    if session.closed_as_of(clock.now()):
        raise AlreadyRedeemed("This session has ended.")
    if not Event.from_client(session).exists():
        return
    if not session.redeem_allowed:
        raise AlreadyRedeemed()
    session.update_columns(redeem_allowed=False)


def allow_redeem(session: Session) -> None:
    """Allow one more redemption after work has started, for example on a new laptop (R31). Raises SessionClosed."""
    with db.atomic():
        locked = session.lock()
        if locked.closed_as_of(clock.now()):
            raise SessionClosed()
        locked.update_columns(redeem_allowed=True)


def _close_deadline(key: CandidateKey, redeemed_at: datetime) -> datetime | None:
    limit, extra = key.assessment.time_limit_minutes, timedelta(minutes=key.added_minutes)
    return session_close.close_deadline(redeemed_at, limit, extra)


def update_time_limit(session: Session, key: CandidateKey) -> None:
    """Update the session's time limit in the transaction that changes its key's accommodation.

    Raises SessionClosed, and TimeLimitPassed if the new limit has passed.
    """
    locked = session.lock()
    close_at_limit(locked)
    if locked.closed_at is not None:
        raise SessionClosed()
    closes_at = _close_deadline(key, locked.created_at)
    # An imported session has no limit, even if its assessment has one.
    if locked.closes_at is None or closes_at is None:
        return
    if closes_at <= clock.now():
        raise TimeLimitPassed()
    locked.update_columns(closes_at=closes_at)


def remove_time_limit(session: Session) -> None:
    """Remove an imported session's time limit."""
    session.update_columns(closes_at=None)
