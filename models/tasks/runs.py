"""Test runs: hidden tests, run by a runner on a submission, a repository or a reference solution."""

import peewee

from models.base import ErasedWithSession, PersonalData, TimestampField, add_index
from models.ledger.protection import ProtectedModel
from models.orgs import Organization
from models.sessions import Session
from models.tasks.checks import TaskCheck
from models.tasks.files import TaskFile
from models.tasks.runner_tokens import RunnerToken

SUBMISSION, BASE, REFERENCE = "submission", "base", "reference"
WAITING, RUNNING = "waiting", "running"
FINISHED, UNTRUSTED, FAILED, TIMED_OUT = "finished", "untrusted", "failed", "timed_out"


class TestRun(ProtectedModel, ErasedWithSession):
    """A run of hidden tests by a runner.

    `purpose` is `submission` (with `session` and `submission_id`), `base` or `reference` (with `task_check`).
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


# For `claim`.
add_index("test_runs_due", TestRun.due_at, where=TestRun.due_at.is_null(False))
