"""Queue test runs: for checks, for the submissions of closed sessions, and again."""

from typing import Any

import peewee

from errors import CheckRunning, NoSubmission, RunCountChanged, RunPending, TaskIncomplete, TaskNotReady
from models import sql
from models.assessments import Assessment
from models.base import Query, clock, db, is_postgres
from models.database import lock_by_name
from models.keys import CandidateKey
from models.sessions import Session
from models.sessions.submissions import VERIFIED, Submission
from models.sessions.submissions.submission import READ, STORED
from models.task_failures import run_each
from models.tasks.checks import REFERENCE_RUNS, RUNNING, TaskCheck
from models.tasks.files import KINDS, TESTS, TaskFile
from models.tasks.runs import BASE, FAILED, FINISHED, REFERENCE, SUBMISSION, TestRun, update_shown

_TESTABLE = (READ, STORED, VERIFIED)


def start_check(owner: Any) -> TaskCheck:
    """Check an assessment's or a problem's task. Raises TaskIncomplete, and CheckRunning for the same files."""
    with db.atomic():
        lock_by_name(f"task {owner.id}")
        files = {file.kind: file for file in TaskFile.current(owner.id)}
        if files.keys() < set(KINDS):
            raise TaskIncomplete()
        latest = TaskCheck.latest(owner.id)
        if latest and latest.state == RUNNING and latest.is_current:
            raise CheckRunning()
        check = TaskCheck.create(organization=owner.organization_id, owner_id=owner.id, **files)
        for purpose in (BASE, *[REFERENCE] * REFERENCE_RUNS):
            _queue(check, purpose=purpose)
    return check


def _queue(check: TaskCheck, **columns: Any) -> TestRun:
    owners = {"organization": check.organization_id, "task_check": check, "tests": check.tests_id}
    return TestRun.create(due_at=clock.now(), **owners, **columns)


def queue_due() -> int:
    """Queue runs for the submissions of closed sessions. Returns how many.

    Sessions whose tests are not ready yet stay due.
    """
    due: Any = Session.select(Session.assessment).join(Assessment).where(Assessment.deleted_at.is_null())
    due = due.where(Session.tests_due, Session.closed_at.is_null(False)).distinct()
    return sum(_queue_for(assessment_id) for (assessment_id,) in due.tuples())


def _queue_for(assessment_id: Any) -> int:
    has_tests = TaskFile.current(assessment_id).where(TaskFile.kind == TESTS).exists()
    check = TaskCheck.ready(assessment_id)
    due = Session.select().where(Session.assessment == assessment_id, Session.tests_due)
    due = due.where(Session.closed_at.is_null(False))
    if has_tests and check is None:
        return run_each("test_runs", due.where(Session.hidden_run_id.is_null(False)), _hide_earlier)
    return run_each("test_runs", due, lambda session: _queue_once(session, check))


def _hide_earlier(session: Session) -> int:
    """Stop showing an earlier submission's run while the newer one waits for the tests. Returns 0: none is queued."""
    with db.atomic():
        update_shown(session.lock())
    return 0


def _queue_once(session: Session, check: TaskCheck | None) -> int:
    """Queue a run unless the submission was tested already. A submission that is read later makes it due again."""
    with db.atomic():
        session = session.lock()
        submission = _testable_submission(session) if check else None
        session.update_columns(tests_due=False)
        if check and submission and not _is_tested(check, submission):
            _queue_submission(check, session, submission)
            return 1
        # Results of an earlier submission are no longer this session's.
        update_shown(session)
    return 0


def _testable_submission(session: Session) -> Submission | None:
    """Return the submission that counts, if it is readable."""
    submission = Submission.current(session)
    return submission if submission and submission.state in _TESTABLE else None


def _tested(tests: Any) -> Query:
    """Select the runs of these tests on submissions, except those that the runner could not run."""
    is_tested = (TestRun.purpose == SUBMISSION) & (TestRun.state != FAILED)
    return TestRun.select(TestRun.id).where(TestRun.tests == tests, is_tested)


def _is_tested(check: TaskCheck, submission: Submission) -> bool:
    return _tested(check.tests).where(TestRun.submission_id == submission.id).exists()


def _queue_submission(check: TaskCheck, session: Session, submission: Submission) -> TestRun:
    columns = {"submission_id": submission.id, "submission_sha256": submission.sha256}
    run = _queue(check, session=session, purpose=SUBMISSION, **columns)
    update_shown(session)
    return run


def run_again(session: Session) -> TestRun:
    """Queue another run for a session's submission. Raises Erased, TaskNotReady, NoSubmission and RunPending."""
    with db.atomic():
        session = session.lock_unless_erased()
        if not (check := TaskCheck.ready(session.assessment_id)):
            raise TaskNotReady()
        if not (submission := _testable_submission(session)):
            raise NoSubmission()
        is_same = (TestRun.submission_id == submission.id) & (TestRun.tests == check.tests)
        if TestRun.select().where(TestRun.session == session, is_same, TestRun.pending()).exists():
            raise RunPending()
        return _queue_submission(check, session, submission)


def outdated(assessment_id: Any) -> Query:
    """Select the closed, undecided sessions whose submission was not tested with the current tests."""
    tests = TaskFile.current(assessment_id).select(TaskFile.id).where(TaskFile.kind == TESTS)
    is_testable = Submission.state.in_(_TESTABLE) & Submission.object_key.is_null(False)
    has_submission = Submission.select(Submission.id).where(Submission.session == Session.id, is_testable)
    is_same = TestRun.submission_id.in_(has_submission)
    tested = _tested(tests).where(TestRun.session == Session.id, is_same)
    sessions = Session.select(Session.id).join(CandidateKey).where(Session.assessment == assessment_id)
    sessions = sessions.where(CandidateKey.can_be_decided(), Session.closed_at.is_null(False))
    return sessions.where(peewee.fn.EXISTS(has_submission), ~peewee.fn.EXISTS(tested))


def retest_cohort(assessment: Assessment, count: int) -> None:
    """Make the `outdated` sessions due. Raises TaskNotReady, and RunCountChanged unless there are `count`."""
    with db.atomic():
        if not TaskCheck.ready(assessment.id):
            raise TaskNotReady()
        sessions = [session.id for session in outdated(assessment.id)]
        if len(sessions) != count:
            raise RunCountChanged(f"The number of runs is now {len(sessions)}. Confirm it and retry.")
        Session.update(tests_due=True).where(Session.id.in_(sessions)).execute()


def passed_by_test(assessment: Assessment) -> dict[str, Any]:
    """Count the finished runs that results show by test: `tests`, the number of `runs`, and `outdated` sessions."""
    names, passed, runs = [], {}, 0
    if check := TaskCheck.ready(assessment.id):
        text = sql.PASSED_BY_TEST.format(each="jsonb_array_elements" if is_postgres() else "json_each")
        rows = sql.rows(text, assessment_id=assessment.id, tests_id=check.tests_id)
        names, passed = check.names, dict(rows)
        shown = TestRun.select().join(Session, on=(Session.hidden_run_id == TestRun.id))
        shown = shown.where(Session.assessment == assessment, TestRun.tests == check.tests_id)
        runs = shown.where(TestRun.state == FINISHED).count()
    tests = [{"name": name, "passed": passed.get(name, 0)} for name in names]
    return {"tests": tests, "runs": runs, "outdated": outdated(assessment.id).count()}
