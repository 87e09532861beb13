"""Checks of tasks: do the hidden tests fail on the repository, and pass on the reference solution?"""

from typing import Any

import peewee

from models.base import TimestampField
from models.ledger.protection import ProtectedModel
from models.orgs import Organization
from models.tasks.files import TaskFile

RUNNING, READY, NOT_READY, FAILED = "running", "ready", "not_ready", "failed"
REFERENCE_RUNS = 5


class TaskCheck(ProtectedModel):
    """A check of a task: one run on the repository, REFERENCE_RUNS on the reference solution.

    `names` are the names of the tests that count, `unstable` those whose outcomes differed between the reference's
    runs. `problem` says why a task is not ready, or why the check failed.
    """

    personal_data = None
    protected = (
        *("organization", "owner_id", "repository", "tests", "reference", "state", "names", "unstable"),
        *("problem", "finished_at", "created_at"),
    )

    tests_id: Any
    # The check's test runs, and the runs on submissions with its tests; a Peewee query.
    testrun_set: Any
    organization = peewee.ForeignKeyField(Organization)
    owner_id = peewee.UUIDField(index=True)
    repository = peewee.ForeignKeyField(TaskFile)
    tests = peewee.ForeignKeyField(TaskFile)
    reference = peewee.ForeignKeyField(TaskFile)
    state = peewee.TextField(default=RUNNING)
    names = peewee.JSONField(null=True)
    unstable = peewee.JSONField(null=True)
    problem = peewee.TextField(null=True)
    finished_at = TimestampField(null=True)

    @classmethod
    def latest(cls, owner_id: Any) -> "TaskCheck | None":
        """Return the latest check of an assessment or a problem."""
        checks = cls.select().where(cls.owner_id == owner_id)
        return checks.order_by(cls.created_at.desc(), cls.id.desc()).first()

    @classmethod
    def ready(cls, owner_id: Any) -> "TaskCheck | None":
        """Return the latest check if the task is ready: it succeeded, and its files are the current ones."""
        check = cls.latest(owner_id)
        return check if check and check.state == READY and check.is_current else None

    @property
    def runs(self) -> Any:
        """Select the check's own runs: on the repository, then on the reference solution."""
        runs = self.testrun_set
        return runs.where(runs.model.session.is_null()).order_by(runs.model.id)

    @property
    def is_current(self) -> bool:
        """True if none of the files has been replaced."""
        return all(file.replaced_at is None for file in (self.repository, self.tests, self.reference))
