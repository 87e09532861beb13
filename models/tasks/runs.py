"""Test runs: hidden tests, run by a runner on a submission, a repository or a reference solution."""

from typing import Any

import peewee

from models.base import ErasedWithSession, PersonalData, Query, TimestampField, add_index
from models.ledger.protection import Owner, ProtectedModel
from models.orgs import Organization
from models.sessions import Session
from models.sessions.submissions import Submission
from models.tasks.checks import TaskCheck
from models.tasks.files import TaskFile
from models.tasks.runner_tokens import RunnerToken

SUBMISSION, BASE, REFERENCE = "submission", "base", "reference"
WAITING, RUNNING = "waiting", "running"
FINISHED, UNTRUSTED, FAILED, TIMED_OUT = "finished", "untrusted", "failed", "timed_out"
# Results show a submission's newest run in one of these states; without one, its newest run.
COUNTED = (FINISHED, UNTRUSTED)


class TestRun(ProtectedModel, ErasedWithSession):
    """A run of hidden tests by a runner.

    `purpose` is `submission` (with `session` and `submission_id`), `base` or `reference`. `task_check` is the run's
    check; for a submission, the check that defines the names of the tests.
    `results` is a list of `{name, outcome, durationMs, output}`; the outcome is `passed`, `failed`, `skipped` or
    `missing`. A run is complete if each known test has exactly one outcome. `reason` says why a run is `untrusted`,
    `failed` or `timed_out`.
    `due_at` is when a waiting run can be claimed, or a running run's lease expires; None when it has ended.
    """

    personal_data = PersonalData("testRuns", None)
    protected = (
        *("organization", "session", "task_check", "purpose", "submission_id", "submission_sha256", "tests"),
        *("state", "reason", "passed_count", "total_count", "is_complete", "results"),
        *("runner_token", "runner_name", "engine", "image_digest", "attempts", "started_at", "finished_at"),
        "created_at",
    )
    session_link = ("session_id", "id")
    deleted_by_erasure = True

    organization = peewee.ForeignKeyField(Organization)
    session = peewee.ForeignKeyField(Session, null=True)
    task_check = peewee.ForeignKeyField(TaskCheck, null=True)
    purpose = peewee.TextField()
    submission_id = peewee.UUIDField(null=True)
    submission_sha256 = peewee.TextField(null=True)
    tests = peewee.ForeignKeyField(TaskFile)
    state = peewee.TextField(default=WAITING)
    reason = peewee.TextField(null=True)
    passed_count = peewee.IntegerField(null=True)
    total_count = peewee.IntegerField(null=True)
    is_complete = peewee.BooleanField(null=True)
    results = peewee.JSONField(null=True)
    runner_token = peewee.ForeignKeyField(RunnerToken, null=True)
    runner_name = peewee.TextField(null=True)
    engine = peewee.TextField(null=True)
    image_digest = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    due_at = TimestampField(null=True)
    started_at = TimestampField(null=True)
    finished_at = TimestampField(null=True)

    @classmethod
    def of(cls, session: Session, *, with_results: bool = False) -> Query:
        """Select a session's runs, newest first, with their tests and runners."""
        columns = [each for each in cls._meta.sorted_fields if with_results or each is not cls.results]
        runs = cls.select(*columns, TaskFile, RunnerToken).join(TaskFile).switch(cls)
        runs = runs.join(RunnerToken, peewee.JOIN.LEFT_OUTER).where(cls.session == session)
        return runs.order_by(cls.created_at.desc(), cls.id.desc())

    @property
    def owner(self) -> Owner:
        return Owner(self.organization_id, self.session.key_id if self.session_id else None)

    @property
    def in_process(self) -> bool:
        """True if the tests import the submission."""
        return not (self.tests.settings or {}).get("serve")

    @property
    def is_current(self) -> bool:
        """True if the tests are the assessment's current ones."""
        return self.tests.replaced_at is None

    @classmethod
    def erase_personal_data(cls, key: Any, session: Session | None) -> int:
        """Delete the runs. Their counts stay in the session."""
        if session is not None:
            session.update_columns(hidden_run_id=None)
        return super().erase_personal_data(key, session)


# For `claim`.
add_index("test_runs_due", TestRun.due_at, where=TestRun.due_at.is_null(False))


def hidden_tests(session: Session) -> dict[str, Any] | None:
    """Return the result that a session shows (schemas/test_runs.py); None without a run.

    After an erasure, only the state and the counts remain.
    """
    if session.hidden_state is None:
        return None
    run = TestRun.of(session).where(TestRun.id == session.hidden_run_id).first()
    details = {name: run and getattr(run, name) for name in ("is_complete", "in_process", "is_current")}
    return details | {
        "state": session.hidden_state,
        "passed": session.hidden_passed,
        "total": session.hidden_total,
        "run_id": session.hidden_run_id,
        "source": "runner",
    }


def update_shown(session: Session) -> None:
    """Copy the state and counts of the run that the results show to a locked session."""
    submission = Submission.current(session)
    if submission is None:
        return
    runs = list(TestRun.of(session).where(TestRun.submission_id == submission.id))
    run = next((run for run in runs if run.state in COUNTED), runs[0] if runs else None)
    columns = {"hidden_run_id": run and run.id, "hidden_state": run and run.state}
    columns |= {"hidden_passed": run and run.passed_count, "hidden_total": run and run.total_count}
    session.update_columns(**session.changed_columns(columns))
