"""Close sessions: by their candidate, a reviewer or the time limit (R17, R18, R29)."""

from datetime import datetime
from typing import Any

from errors import NotFinished
from models import sql
from models.audit import SERVICE, AuditEntry
from models.base import clock, db
from models.feed import FeedEvent
from models.sessions import final_seals
from models.sessions.metrics import derive
from models.sessions.session import Session
from models.task_failures import run_each
from rules import session_close
from rules.final_seals import DELAY
from rules.rows import row_id

BATCH_SIZE = 500


def complete(session: Session) -> datetime:
    """Complete a session for its candidate, and derive its metrics; returns the response's `completedAt`.

    Repeatable. After the limit's close the session still becomes `completed` for ten minutes; later, or after a
    reviewer's close, only the response carries a time (R18).
    """
    with db.atomic():
        locked = session.lock()
        settle_locked(locked)
        now = clock.now()
        window = session_close.intake_window(now, locked.closed_at)
        if window == "open":
            _close(locked, now, "candidate", completed_at=now)
        elif window == "flush" and locked.closed_by == "limit" and locked.completed_at is None:
            locked.update_columns(completed_at=now)
            final_seals.renew(locked, "completed", "completion", "status")
            _publish(locked, "completed")
        return locked.completed_at or locked.closed_at


def close(session: Session) -> None:
    """Close an abandoned session for a reviewer; it reads `expired`. Repeatable."""
    with db.atomic():
        locked = session.lock()
        settle_locked(locked)
        if locked.closed_at is None:
            _close(locked, clock.now(), "reviewer")


def mark_hired(session: Session, hired: bool) -> None:
    """Mark the candidate as hired, or undo it; repeatable. Raises NotFinished for an open session (R17)."""
    with db.atomic():
        locked = session.lock()
        settle_locked(locked)
        if locked.closed_at is None:
            raise NotFinished()
        if hired == (locked.hired_at is not None):
            return
        if hired:
            FeedEvent.publish(locked.organization_id, "candidate.hired", locked.ids | {"status": "hired"})
        locked.update_columns(hired_at=clock.now() if hired else None)
        final_seals.renew(locked, "hired", "status")


def settle(session: Session) -> None:
    """Close the session if its limit has passed; derive its metrics if they are due (R17, R18, R34)."""
    with db.atomic():
        settle_locked(session.lock())


def settle_locked(session: Session, seal: tuple[str, ...] = ("events_arrived", "metrics")) -> None:
    """Like `settle`, for a locked session.

    seal -- the reason and parts of the next final seal, if metrics were due
    """
    if session.closed_at is None and session.closed_as_of(clock.now()):
        _close(session, session.closes_at, "limit")
        AuditEntry.record(session.organization_id, "closeAtLimit", SERVICE, "session", session.id)
    elif session.closed_at is not None and session.metrics_due and derive(session):
        # What was not derived again is not sealed again: a new seal would cover up a change.
        final_seals.renew(session, *seal)


def settle_all(*, assessment_id: Any = None, organization_id: Any = None) -> int:
    """Settle every session that needs it, each in its own transaction, and return how many.

    A session that fails does not stop the others.

    assessment_id, organization_id -- only its sessions; filtered here, since few sessions wait at any time
    """
    waiting: list[Any] = [
        row_id(session)
        for session, assessment, organization in sql.rows(sql.UNSETTLED, now=clock.now())
        if assessment_id in (None, row_id(assessment)) and organization_id in (None, row_id(organization))
    ]
    return run_each("settle", sorted(waiting), _settle)


def _settle(session_id: Any) -> int:
    settle(Session(id=session_id))
    return 1


def seal_due() -> int:
    """Append the first final seal to sessions that closed at least ten minutes ago; returns how many (R43)."""
    is_due = Session.closed_at < clock.now() - DELAY
    due = Session.select(Session.id).where(Session.final_seal_count == 0, is_due).order_by(Session.id)
    return run_each("final_seals", due.limit(BATCH_SIZE), _seal)


def _seal(session: Session) -> bool:
    with db.atomic():
        locked = session.lock()
        settle_locked(locked)
        if locked.final_seal_count:
            return False
        final_seals.append(locked, "closed")
    return True


def _close(session: Session, closed_at: datetime, by: str, completed_at: datetime | None = None) -> None:
    session.update_columns(closed_at=closed_at, closed_by=by, completed_at=completed_at)
    derive(session)
    _publish(session, "completed" if completed_at else "expired")


def _publish(session: Session, status: str) -> None:
    FeedEvent.publish(session.organization_id, f"session.{status}", session.ids | {"status": status})
