"""Close sessions, by their candidate, a reviewer or the time limit, and derive their metrics again (R17, R18, R29).

A function with a `derivation` stores metrics that were derived before its transaction (`derive_ahead`), if it closes
the session. With None they are derived while the session is locked.
"""

from datetime import datetime
from typing import Any

from errors import MetricsInProgress, NotFinished
from models import sql
from models.base import clock, db
from models.feed import FeedEvent
from models.ledger.audit import SERVICE, AuditEntry
from models.sessions import final_seals
from models.sessions.metrics import Derivation, derive_ahead, shown_metrics, store
from models.sessions.session import Session
from models.task_failures import run_each
from rules import session_close
from rules.integrity.final_seals import DELAY
from rules.rows import row_id

BATCH_SIZE = 500


def complete(session: Session, derivation: Derivation | None = None) -> datetime:
    """Complete a session for its candidate, and store its metrics; returns the response's `completedAt`.

    Repeatable. After the limit's close the session still becomes `completed` for ten minutes; later, or after a
    reviewer's close, only the response carries a time (R18).
    """
    with db.atomic():
        locked = session.lock()
        close_at_limit(locked, derivation)
        now = clock.now()
        window = session_close.intake_window(now, locked.closed_at)
        if window == "open":
            _close(locked, now, "candidate", derivation, completed_at=now)
        elif window == "flush" and locked.closed_by == "limit" and locked.completed_at is None:
            locked.update_columns(completed_at=now)
            final_seals.renew(locked, "completed", "completion", "status")
            _publish(locked, "completed")
        return locked.completed_at or locked.closed_at


def close(session: Session, derivation: Derivation | None = None) -> None:
    """Close an abandoned session for a reviewer; it reads `expired`. Repeatable."""
    with db.atomic():
        locked = session.lock()
        close_due_locked(locked, derivation)
        if locked.closed_at is None:
            _close(locked, clock.now(), "reviewer", derivation)


def close_for_erasure(session: Session, derivation: Derivation | None = None) -> Session:
    """Close a session whose events will be deleted in the same transaction: its metrics cover all of them."""
    close(session, derivation)
    locked = session.lock()
    close_due_locked(locked)
    return locked


def mark_hired(session: Session, hired: bool) -> None:
    """Mark the candidate as hired, or undo it; repeatable. Raises NotFinished for an open session (R17)."""
    with db.atomic():
        locked = session.lock()
        close_at_limit(locked)
        if locked.closed_at is None:
            raise NotFinished()
        if hired == (locked.hired_at is not None):
            return
        if hired:
            FeedEvent.publish(locked.organization_id, "candidate.hired", locked.ids | {"status": "hired"})
        locked.update_columns(hired_at=clock.now() if hired else None)
        final_seals.renew(locked, "hired", "status")


def close_due(session: Session) -> None:
    """Close the session if its limit has passed; derive its metrics if they are due (R17, R18, R34).

    A failure is recorded as in the worker; the stored state remains.
    """
    if Session.get_by_id(session.id).is_due(clock.now()):
        run_each("close", [session.id], _close_due)


def close_due_locked(
    session: Session,
    derivation: Derivation | None = None,
    seal: tuple[str, ...] | None = None,
) -> None:
    """Like `close_due`, for a locked session.

    seal -- the reason and parts of the next final seal, if metrics were due. By default none: no event counts after the
        first one, so the metrics are only due if the database was changed directly, and a seal would cover that up
    """
    if close_at_limit(session, derivation) or session.closed_at is None or not session.metrics_due:
        return
    # Values that were not derived again are not sealed again: a new seal would cover up a change.
    if store(session, derivation) and seal:
        final_seals.renew(session, *seal)


def close_at_limit(session: Session, derivation: Derivation | None = None) -> bool:
    """Close a locked session whose limit has passed; returns whether it did."""
    if session.closed_at is not None or not session.closed_as_of(clock.now()):
        return False
    _close(session, session.closes_at, "limit", derivation)
    AuditEntry.record(session.organization_id, "closeAtLimit", SERVICE, "session", session.id)
    return True


def rederive(session: Session, derivation: Derivation | None = None) -> dict[str, tuple[Any, Any]]:
    """Store a closed session's metrics again; returns the changes as (before, after) by name."""
    with db.atomic():
        locked = session.lock()
        close_due_locked(locked, derivation)
        before = shown_metrics(locked) or {}
        if store(locked, derivation):
            final_seals.renew(locked, "rederived", "metrics")
        after = shown_metrics(locked) or {}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    return {name: (before.get(name), after.get(name)) for name in sorted(changed)}


def submit_test_result(
    session: Session,
    passed: int,
    failed: int,
    skipped: int | None = None,
    note: str | None = None,
    derivation: Derivation | None = None,
) -> None:
    """Store the result of tests run elsewhere. Raises Erased."""
    with db.atomic():
        locked = session.lock_unless_erased()
        counts = {"passed": passed, "failed": failed, "skipped": skipped}
        columns = {f"tests_{name}_count": count for name, count in counts.items()}
        locked.update_columns(tests_note=note, metrics_due=True, **columns)
        close_due_locked(locked, derivation, ("tests_submitted", "tests", "metrics"))


def close_all_due(*, assessment_id: Any = None, organization_id: Any = None) -> int:
    """Close every due session, each in its own transaction, and return how many.

    A session that fails does not stop the others.

    assessment_id, organization_id -- only its sessions; filtered here, since few sessions wait at any time
    """
    waiting: list[Any] = [
        row_id(session)
        for session, assessment, organization in sql.rows(sql.DUE_TO_CLOSE, now=clock.now())
        if assessment_id in (None, row_id(assessment)) and organization_id in (None, row_id(organization))
    ]
    return run_each("close", sorted(waiting), _close_due)


def _close_due(session_id: Any) -> int:
    session = Session(id=session_id)
    try:
        derivation = derive_ahead(session)
    except MetricsInProgress:
        if Session.get_by_id(session_id).closed_at is None:
            raise
        # A candidate's events can keep the metrics due for ten minutes. Until then the stored ones are returned.
        return 0
    if derivation is None:
        return 0
    with db.atomic():
        close_due_locked(session.lock(), derivation)
    return 1


def seal_due() -> int:
    """Append the first final seal to sessions that closed at least ten minutes ago; returns how many (R43).

    `close_all_due` has to derive their metrics before.
    """
    is_due = (Session.closed_at < clock.now() - DELAY) & ~Session.metrics_due
    due = Session.select(Session.id).where(Session.final_seal_count == 0, is_due).order_by(Session.id)
    return run_each("final_seals", due.limit(BATCH_SIZE), _seal)


def _seal(session: Session) -> bool:
    with db.atomic():
        locked = session.lock()
        if locked.final_seal_count or locked.metrics_due:
            return False
        final_seals.append(locked, "closed")
    return True


def _close(
    session: Session,
    closed_at: datetime,
    by: str,
    derivation: Derivation | None,
    completed_at: datetime | None = None,
) -> None:
    session.update_columns(closed_at=closed_at, closed_by=by, completed_at=completed_at)
    store(session, derivation)
    _publish(session, "completed" if completed_at else "expired")


def _publish(session: Session, status: str) -> None:
    FeedEvent.publish(session.organization_id, f"session.{status}", session.ids | {"status": status})
