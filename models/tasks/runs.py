"""Test runs: hidden tests, run by a runner on a submission, a repository or a reference solution."""

from collections.abc import Iterable
from typing import Any

import peewee

from models.base import ErasedWithSession, PersonalData, Query, TimestampField
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

    runner_token_id: Any
    organization = peewee.ForeignKeyField(Organization)
    session: Any = peewee.ForeignKeyField(Session, null=True)
    task_check: Any = peewee.ForeignKeyField(TaskCheck, null=True)
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
    runner_token: Any = peewee.ForeignKeyField(RunnerToken, null=True)
    runner_name = peewee.TextField(null=True)
    engine = peewee.TextField(null=True)
    image_digest = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    due_at = TimestampField(null=True)
    started_at = TimestampField(null=True)
    finished_at = TimestampField(null=True)

    @classmethod
    def with_tests(cls, *, with_results: bool = False) -> Query:
        """Select runs with their hidden tests."""
        columns = [each for each in cls._meta.sorted_fields if with_results or each is not cls.results]
        return cls.select(*columns, TaskFile).join(TaskFile)

    @classmethod
    def of(cls, session: Session, *, with_results: bool = False) -> Query:
        """Select a session's runs with their hidden tests, newest first."""
        runs = cls.with_tests(with_results=with_results).where(cls.session == session)
        return runs.order_by(cls.created_at.desc(), cls.id.desc())

    @classmethod
    def pending(cls) -> Any:
        """Return the condition that a run has not ended."""
        return cls.state.in_((WAITING, RUNNING))

    @property
    def owner(self) -> Owner:
        return Owner(self.organization_id, self.session.key_id if self.session_id else None)

    @property
    def in_process(self) -> bool:
        """True if the tests import the submission."""
        return not (self.tests.settings or {}).get("serve")

    @property
    def counts(self) -> bool:
        """True if the session's results show this run."""
        return self.state in COUNTED and self.id == self.session.hidden_run_id

    @property
    def image(self) -> str | None:
        return (self.tests.settings or {}).get("image")

    @property
    def runner(self) -> "TestRun | None":
        """The run, if a runner has claimed it (schemas/test_runs.py)."""
        return self if self.runner_token_id else None

    @property
    def source(self) -> str:
        """The source of the result (R51)."""
        return "runner"

    @property
    def is_current(self) -> bool:
        """True if the tests are the assessment's current ones."""
        return self.tests.replaced_at is None

    @classmethod
    def erase_personal_data(cls, key: Any, session: Session | None) -> int:
        if session is not None:
            session.update_columns(hidden_run_id=None)
        return super().erase_personal_data(key, session)


def update_shown(session: Session) -> None:
    """Set the run that the results of a locked session show."""
    submission = Submission.current(session)
    if submission is None:
        return
    runs = list(TestRun.of(session).where(TestRun.submission_id == submission.id))
    run = next((run for run in runs if run.state in COUNTED), runs[0] if runs else None)
    session.update_columns(hidden_run_id=run and run.id)


def hidden_tests(session_ids: Iterable[Any]) -> dict[Any, TestRun]:
    """Return the runs that the results of sessions show, by session id."""
    # The ledger protects a run's session, but not `hidden_run_id`.
    is_shown = (Session.hidden_run_id == TestRun.id) & (Session.id == TestRun.session)
    runs = TestRun.with_tests().join_from(TestRun, Session, on=is_shown)
    return {run.session_id: run for run in runs.where(Session.id.in_(list(session_ids)))}
