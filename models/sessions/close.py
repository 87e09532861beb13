"""Close sessions and store their metrics (R17, R18, R29).

A function that closes the session stores the metrics from `derivation`, which `derive_before_lock` computes before
the transaction. Without it, the metrics are computed while the session is locked.
"""

from datetime import datetime
from typing import Any

from errors import MetricsInProgress, NotFinished
from models import sql
from models.base import clock, db
from models.feed import FeedEvent
from models.ledger.audit import SERVICE, AuditEntry
from models.sessions.metrics import Derivation, api_metrics, derive_before_lock, store
from models.sessions.session import Session
from models.task_failures import run_each
from rules import session_close
from rules.rows import row_id


def complete(session: Session, derivation: Derivation | None = None) -> datetime:
    """Complete a session for its candidate, store its metrics, and return the response's `completedAt`.

    Idempotent. A session closed by the time limit can be completed for ten minutes. After that, or after a reviewer's
    close, the session stays `expired`, and only the response has a time (R18).
    """
    with db.atomic():
        locked = session.lock()
        close_at_limit(locked, derivation)
        now = clock.now()
        window = session_close.intake_window(now, locked.closed_at)
        if window == "open":
            _close(locked, now, "candidate", derivation, completed_at=now)
        elif window == "flush" and locked.closed_by == "limit" and locked.completed_at is None:
            locked.record_change("completed", completed_at=now)
            _publish(locked, "completed")
        return locked.completed_at or locked.closed_at


def close(session: Session, derivation: Derivation | None = None) -> None:
    """Close an abandoned session for a reviewer; its status becomes `expired`. Idempotent."""
    with db.atomic():
        locked = session.lock()
        close_due_locked(locked, derivation)
        if locked.closed_at is None:
            _close(locked, clock.now(), "reviewer", derivation)


def close_for_erasure(session: Session, derivation: Derivation | None = None) -> Session:
    """Close and lock a session before its events are deleted in the same transaction."""
    close(session, derivation)
    locked = session.lock()
    close_due_locked(locked)
    return locked


def mark_hired(session: Session, hired: bool) -> None:
    """Mark the candidate as hired or not hired. Idempotent. Raises NotFinished for an open session (R17)."""
    with db.atomic():
        locked = session.lock()
        close_at_limit(locked)
        if locked.closed_at is None:
            raise NotFinished()
        if hired == (locked.hired_at is not None):
            return
        if hired:
            FeedEvent.publish(locked.organization_id, "candidate.hired", locked.ids | {"status": "hired"})
        locked.record_change("hired", hired_at=clock.now() if hired else None)


def close_due(session: Session) -> None:
    """Close the session if its time limit has passed, and compute its metrics if they are due (R17, R18, R34).

    Failures are recorded, not raised.
    """
    if Session.get_by_id(session.id).is_due(clock.now()):
        run_each("close", [session.id], _close_due)


def close_due_locked(
    session: Session, derivation: Derivation | None = None, reason: str = "events_received"
) -> None:
    """Like `close_due`, for a locked session; `reason` is the ledger entry's if metrics were due."""
    if not close_at_limit(session, derivation) and session.closed_at is not None and session.metrics_due:
        store(session, derivation, reason)


def close_at_limit(session: Session, derivation: Derivation | None = None) -> bool:
    """Close a locked session if its time limit has passed. Returns whether it was closed."""
    if session.closed_at is not None or not session.closed_as_of(clock.now()):
        return False
    _close(session, session.closes_at, "limit", derivation)
    AuditEntry.record(session.organization_id, "closeAtLimit", SERVICE, "session", session.id)
    return True


def rederive(session: Session, derivation: Derivation | None = None) -> dict[str, tuple[Any, Any]]:
    """Recompute and store a closed session's metrics. Returns the changes as (before, after) by name."""
    with db.atomic():
        locked = session.lock()
        close_due_locked(locked, derivation)
        before = api_metrics(locked) or {}
        store(locked, derivation, "rederived")
        after = api_metrics(locked) or {}
    changed_names = {name for name in before | after if before.get(name) != after.get(name)}
    return {name: (before.get(name), after.get(name)) for name in sorted(changed_names)}


def submit_test_result(
    session: Session,
    passed: int,
    failed: int,
    skipped: int | None = None,
    note: str | None = None,
    derivation: Derivation | None = None,
) -> None:
    """Store the result of tests that ran elsewhere. Raises Erased."""
    with db.atomic():
        locked = session.lock_unless_erased()
        counts = {"passed": passed, "failed": failed, "skipped": skipped}
        columns = {f"tests_{name}_count": count for name, count in counts.items()}
        locked.record_change("tests_submitted", tests_note=note, metrics_due=True, **columns)
        close_due_locked(locked, derivation, "tests_submitted")


def close_all_due(*, assessment_id: Any = None, organization_id: Any = None) -> int:
    """Close every due session in its own transaction. Returns how many. A failure does not stop the loop.

    assessment_id, organization_id -- close only this assessment's or organization's sessions
    """
    # Filtered in Python, because few sessions are due at any time.
    session_ids: list[Any] = [
        row_id(session)
        for session, assessment, organization in sql.rows(sql.DUE_TO_CLOSE, now=clock.now())
        if assessment_id in (None, row_id(assessment)) and organization_id in (None, row_id(organization))
    ]
    return run_each("close", sorted(session_ids), _close_due)


def _close_due(session_id: Any) -> int:
    session = Session(id=session_id)
    try:
        derivation = derive_before_lock(session)
    except MetricsInProgress:
        if Session.get_by_id(session_id).closed_at is None:
            raise
        # New events can keep the metrics due for ten minutes. During that time, the API returns the stored ones.
        return 0
    if derivation is None:
        return 0
    with db.atomic():
        close_due_locked(session.lock(), derivation)
    return 1


def _close(
    session: Session,
    closed_at: datetime,
    by: str,
    derivation: Derivation | None,
    completed_at: datetime | None = None,
) -> None:
    rejected = {"rejected_event_count": session.rejected_event_count}
    store(
        session,
        derivation,
        "closed",
        **rejected,
        closed_at=closed_at,
        closed_by=by,
        completed_at=completed_at,
        tests_due=True,
    )
    _publish(session, "completed" if completed_at else "expired")


def _publish(session: Session, status: str) -> None:
    FeedEvent.publish(session.organization_id, f"session.{status}", session.ids | {"status": status})
