"""Runners' claims: leases, results, and jobs that were lost with their runner.

A job's lock order is its session or check, then the run. An erasure also locks the session first.
"""

from datetime import timedelta
from typing import Any

import peewee

from errors import ClaimLost, NotFound
from models import sql
from models.base import Query, clock, db, is_postgres
from models.feed import FeedEvent
from models.sessions.submissions import GIT, TAR, Submission
from models.task_failures import run_each
from models.tasks import checks
from models.tasks.checks import TaskCheck
from models.tasks.runner_tokens import RunnerToken
from models.tasks.runs import FAILED, FINISHED, REFERENCE, RUNNING, SUBMISSION, WAITING, TestRun, update_shown
from rules import hidden_tests
from rules.events.masking import mask_text
from rules.plain_text import to_storable

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
MAX_REASON_CHARACTERS = 2_000
# After a failed attempt, so that another runner can take the job.
RETRY_DELAY = timedelta(seconds=15)
STOPPED = f"The runner stopped during each of {MAX_ATTEMPTS} attempts."
REPLACED = "A later submission replaced this one."


def has_job(token: RunnerToken) -> bool:
    """Return whether a job can be claimed. Unlike a claim, does not block SQLite's writers."""
    return _find_claimable(token) is not None


def claim(token: RunnerToken, runner_name: str, engine: str) -> TestRun | None:
    """Claim a waiting job, or one whose lease has expired; returns None if there is none.

    A token of the installation takes a job of the organization with the fewest running jobs.
    """
    with db.atomic():
        run_id = _find_claimable(token, "FOR NO KEY UPDATE OF t SKIP LOCKED" if is_postgres() else "")
        if run_id is None:
            return None
        run = TestRun.get_by_id(run_id)
        now = clock.now()
        runner = {"runner_token": token, "runner_name": runner_name, "engine": engine}
        state = {"state": RUNNING, "reason": None, "attempts": run.attempts + 1, "started_at": now}
        run.record_change("claimed", due_at=now + LEASE, **runner, **state)
    return run


def _find_claimable(token: RunnerToken, lock: str = "") -> Any:
    of_organization = "AND t.organization_id = :organization_id" if token.organization_id else ""
    values = {"organization_id": token.organization_id} if token.organization_id else {}
    text = sql.CLAIMABLE_RUN.format(of_organization=of_organization, lock=lock)
    rows = sql.rows(text, now=clock.now(), max_attempts=MAX_ATTEMPTS, **values)
    return rows[0][0] if rows else None


def jobs(token: RunnerToken) -> Query:
    """Select the runs of the token's organization, or for the installation's token, all."""
    runs = TestRun.select()
    return runs.where(TestRun.organization == token.organization_id) if token.organization_id else runs


def renew(run: TestRun, token: RunnerToken, attempt: int) -> None:
    """Extend the lease. Raises ClaimLost."""
    is_claim = (TestRun.runner_token == token) & (TestRun.attempts == attempt) & (TestRun.state == RUNNING)
    update = TestRun.update(due_at=clock.now() + LEASE).where(TestRun.id == run.id, is_claim)
    if not update.execute():
        raise ClaimLost()


def record_result(run: TestRun, token: RunnerToken, attempt: int, report: dict[str, Any]) -> bool:
    """Record the result of a claim. Returns whether it is new; a repeated one is ignored.

    A failed attempt is repeated, up to MAX_ATTEMPTS. Raises ClaimLost, and NotFound if the run was erased.

    report -- `state`, `reason`, `tests` and `image_digest`
    """
    with db.atomic():
        run = _lock(run)
        columns = _result_columns(run, attempt, report)
        if (run.runner_token_id, run.attempts) != (token.id, attempt):
            raise ClaimLost()
        if run.state != RUNNING:
            if run.changed_columns(columns):
                raise ClaimLost()
            return False
        _store(run, **columns)
    return True


def _result_columns(run: TestRun, attempt: int, report: dict[str, Any]) -> dict[str, Any]:
    state, reason = report["state"], report["reason"]
    reason = reason and mask_text(to_storable(reason, MAX_REASON_CHARACTERS))
    if state == FAILED:
        return {"state": FAILED if attempt >= MAX_ATTEMPTS else WAITING, "reason": reason}
    known = run.task_check.names if run.purpose == SUBMISSION else None
    outcomes = hidden_tests.compare(report["tests"], known)
    columns = {"state": state, "reason": reason, "image_digest": report["image_digest"]}
    return columns | outcomes._asdict()


def end_replaced(run: TestRun) -> None:
    """End a claimed run whose submission a later one has replaced."""
    with db.atomic():
        locked = _lock(run)
        if (locked.state, locked.attempts) == (RUNNING, run.attempts):
            _store(locked, state=FAILED, reason=REPLACED)


def fail_lost() -> int:
    """End the runs whose runner stopped during the last attempt. Returns how many."""
    is_lost = (TestRun.state == RUNNING) & (TestRun.due_at <= clock.now())
    lost = TestRun.select().where(is_lost, TestRun.attempts >= MAX_ATTEMPTS)

    def fail(run: TestRun) -> int:
        with db.atomic():
            locked = _lock(run)
            if locked.state == RUNNING and locked.due_at == run.due_at:
                _store(locked, state=FAILED, reason=STOPPED)
        return 1

    return run_each("lost_test_runs", lost, fail)


def _lock(run: TestRun) -> TestRun:
    """Lock and reload the run after its session or check. Raises NotFound if it was erased."""
    owner = run.session.lock() if run.session_id else run.task_check.lock()
    try:
        locked = run.lock()
    except peewee.DoesNotExist:
        raise NotFound() from None
    if run.session_id:
        locked.session = owner
    locked.task_check = run.task_check if run.session_id else owner
    return locked


def _store(run: TestRun, **columns: Any) -> None:
    """Store what a locked run's attempt resulted in, and what follows from it."""
    now = clock.now()
    if columns["state"] == WAITING:
        run.record_change("failed", due_at=now + RETRY_DELAY, **columns)
    else:
        run.record_change("ended", due_at=None, finished_at=now, **columns)
    if run.session_id:
        update_shown(run.session)
        if run.state != WAITING:
            run.session.update_columns(updated_at=now)
            counts = {"passed": run.passed_count, "total": run.total_count}
            payload = run.session.ids | {"testRunId": run.id, "state": run.state} | counts
            FeedEvent.publish(run.organization_id, "test_run.finished", payload)
    elif not run.task_check.runs.where(TestRun.pending()).exists():
        _finish_check(run.task_check)


def _finish_check(check: TaskCheck) -> None:
    """Store a locked check's result after its last run."""
    base, *references = check.runs
    names = unstable = None
    state = checks.NOT_READY
    if failed := [run for run in (base, *references) if run.state == FAILED]:
        state, problem = checks.FAILED, failed[0].reason
    elif unusable := [run for run in references if run.state != FINISHED or not run.results]:
        run = unusable[0]
        problem = f"A run on the reference solution is `{run.state}`. {run.reason or 'It reported no tests.'}"
    else:
        outcomes = list(map(_outcomes, references))
        names, unstable, problem = hidden_tests.evaluate_check(_outcomes(base), outcomes)
        state = checks.NOT_READY if problem else checks.READY
        failed = [result for result in references[0].results if result["outcome"] == hidden_tests.FAILED]
        outputs = [result["output"] for result in failed if result["name"] in names and result["output"]]
        if problem and outputs:
            problem += f"\n{outputs[0][-MAX_REASON_CHARACTERS:]}"
    columns = {"names": names, "unstable": unstable, "problem": problem}
    check.record_change("finished", state=state, finished_at=clock.now(), **columns)


def _outcomes(run: TestRun) -> dict[str, str]:
    return {result["name"]: result["outcome"] for result in run.results}


def find_inputs(run: TestRun) -> dict[str, tuple[Any, str]]:
    """Return the stored file and the format of each of a job's inputs.

    Raises ClaimLost if a later submission has replaced the one to test.
    """
    if run.purpose == SUBMISSION:
        submission = Submission.get_or_none(Submission.id == run.submission_id)
        if submission is None or submission.object_key is None:
            raise ClaimLost()
        return {"work": (submission, submission.format), "tests": (run.tests, TAR)}
    inputs = {"work": (run.task_check.repository, GIT), "tests": (run.tests, TAR)}
    return inputs | ({"reference": (run.task_check.reference, TAR)} if run.purpose == REFERENCE else {})
