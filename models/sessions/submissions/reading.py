"""Read submitted git bundles and zip archives: attempts and results."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import peewee

from models.base import Query, clock, db
from models.sessions import Session
from models.sessions.submissions.submission import (
    READ,
    RECEIVING,
    STORED,
    TAR,
    UNREADABLE,
    WAITING,
    Submission,
    SubmissionFile,
    store_ratio,
)
from rules.session_close import FLUSH_WINDOW
from rules.statistics.rounding import BILLION, half_up_ratio

MAX_ATTEMPTS = 3
# Longer than the slowest attempt.
LEASE = timedelta(minutes=5)
RETRY_DELAY = timedelta(minutes=1)
MAX_DUE = 5
# A submission that the store has lost is looked for until a week after it was received.
LOST_RETRY_DELAY = timedelta(minutes=15)
MAX_LOST_AGE = timedelta(days=7)
LOST = "The bundle store lost or changed this file after it was received. An operator must restore it."


def due() -> list[Submission]:
    """Return submissions to read now: new ones, and git bundles to compare again after the session's close.

    Returns the newest of each session, which replaces the earlier ones. Sessions with fewer failed attempts come first,
    so that no session can delay others'.
    """
    now, other = clock.now(), Submission.alias()
    is_due = (Submission.state == WAITING) | (Session.closed_at.is_null(False) & ~Session.metrics_due)
    query = Submission.select(Submission, Session).join(Session).where(Submission.retry_at <= now, is_due)
    same_session = other.session == Submission.session
    is_newer = (other.created_at > Submission.created_at) | (
        (other.created_at == Submission.created_at) & (other.id > Submission.id)
    )
    newer = other.select(other.id).where(
        same_session, other.state == WAITING, other.retry_at <= now, is_newer
    )
    failed = other.select(peewee.fn.SUM(other.attempts)).where(same_session)
    query = query.where(~peewee.fn.EXISTS(newer)).order_by(failed, Submission.retry_at, Submission.id)
    return list(query.limit(MAX_DUE))


def is_up_to_date(submission: Submission) -> bool:
    """Return whether the bundle was read and compared with all counted events, and has not been lost since."""
    is_compared = submission.matched_event_count == submission.session.event_count
    return submission.state == READ and submission.problem is None and is_compared


def claim(submission: Submission) -> bool:
    """Claim the next attempt to read the submission. Returns False if another worker has claimed it."""
    columns = {"attempts": submission.attempts + 1, "retry_at": clock.now() + LEASE}
    is_unclaimed = (Submission.id == submission.id) & (Submission.attempts == submission.attempts)
    if not Submission.update(columns).where(is_unclaimed, Submission.retry_at.is_null(False)).execute():
        return False
    submission.attempts += 1
    return True


def retry_later(submission: Submission, counts: bool = True) -> None:
    """Schedule another attempt.

    counts -- whether the failed attempt counts towards MAX_ATTEMPTS
    """
    attempts = submission.attempts if counts else submission.attempts - 1
    with db.atomic():
        if _lock(submission):
            submission.update_columns(attempts=attempts, retry_at=clock.now() + RETRY_DELAY)


def finish(submission: Submission) -> None:
    """Stop reading if no more events can count; otherwise schedule another comparison."""
    with db.atomic():
        if session := _lock(submission):
            _finish(submission, session)


def _finish(submission: Submission, session: Session) -> None:
    closed_at = session.closed_at
    # Events can have arrived since the comparison.
    is_compared = not session.metrics_due and submission.matched_event_count == session.event_count
    is_final = closed_at is not None and clock.now() > closed_at + FLUSH_WINDOW and is_compared
    retry_at = None if is_final else clock.now() + (RETRY_DELAY if closed_at else timedelta())
    submission.update_columns(attempts=0, retry_at=retry_at)


def record_lost(submission: Submission) -> None:
    """Record that the store does not have the submission as it was received: a task for an operator, not a finding."""
    with db.atomic():
        if _lock(submission):
            if submission.problem != LOST:
                submission.update_columns(problem=LOST)
            _retry_for_a_week(submission)


def _retry_for_a_week(submission: Submission) -> None:
    now = clock.now()
    is_retried = submission.format != TAR and now < submission.created_at + MAX_LOST_AGE
    submission.update_columns(attempts=0, retry_at=now + LOST_RETRY_DELAY if is_retried else None)


def received() -> Query:
    """Select the submissions whose object the store must have, without their content."""
    S: Any = Submission
    columns = (S.id, S.session, S.format, S.state, S.created_at, S.object_key, S.size, S.problem)
    return S.select(*columns).where(S.object_key.is_null(False), S.state != RECEIVING)


def read_again(submission: Submission) -> None:
    """Schedule an attempt to read the submission, which could not be read, or was lost and is in the store again."""
    with db.atomic():
        if _lock(submission):
            submission = submission.lock()
            state = WAITING if submission.state == UNREADABLE else submission.state
            # Others were read before they were lost.
            retry_at = clock.now() if state in (WAITING, READ) else None
            submission.update_columns(state=state, problem=None, attempts=0, retry_at=retry_at)


def count_waiting() -> int:
    """Count the submissions that wait for an attempt to read them. Excludes lost ones."""
    is_waiting = (Submission.state == WAITING) & Submission.retry_at.is_null(False)
    return Submission.select().where(is_waiting, Submission.problem.is_null()).count()


def record_unreadable(submission: Submission, problem: str) -> None:
    """Record why the submission cannot be read. Does not delete it."""
    with db.atomic():
        if session := _lock(submission):
            if submission.state == READ:
                # It could be read. Only the comparison with later events failed.
                _retry_for_a_week(submission)
                return
            submission.delete_diff()
            submission.update_columns(state=UNREADABLE, problem=problem, retry_at=None, files_sha256=None)
            session.update_columns(checked_version=0)


def record_zip(submission: Submission) -> None:
    """Record that all files of a zip archive were read."""
    with db.atomic():
        if session := _lock(submission):
            submission.replace_earlier()
            submission.update_columns(state=STORED, problem=None, attempts=0, retry_at=None)
            session.update_columns(tests_due=True, checked_version=0)


def record_diff(
    submission: Submission, commits: dict[str, Any], files: Iterable[dict[str, Any]], event_count: int | None
) -> None:
    """Store the final diff, and the session's recordedLineRatio once it has closed.

    commits -- `head`, `base` and `isVerified`
    files -- by path: the columns of SubmissionFile, with `counted_lines` and `not_recorded_lines`
    event_count -- the session's event count before the comparison
    """
    with db.atomic():
        session = _lock(submission)
        if session is None:
            return
        submission.replace_earlier()
        SubmissionFile.delete().where(SubmissionFile.session == session).execute()
        counted_lines, not_recorded_lines, files_sha256 = SubmissionFile.store(session, files)
        submission.update_columns(
            state=READ,
            problem=None,
            base_verified=commits["isVerified"],
            base_commit=commits["base"],
            head_commit=commits["head"],
            counted_lines=counted_lines,
            not_recorded_lines=not_recorded_lines,
            matched_event_count=event_count,
            files_sha256=files_sha256,
        )
        ratio = None
        if session.closed_at is not None and submission.base_verified and submission.counted_lines:
            recorded_lines = counted_lines - not_recorded_lines
            ratio = half_up_ratio(recorded_lines, counted_lines, BILLION)
        store_ratio(session, ratio)
        session.update_columns(tests_due=True)
        _finish(submission, session)


def _lock(submission: Submission) -> Session | None:
    """Lock the session. Returns None if the submission was erased or replaced."""
    session = submission.session.lock()
    is_current = (Submission.id == submission.id) & Submission.object_key.is_null(False)
    return session if Submission.select().where(is_current).exists() else None
