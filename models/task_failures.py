"""Failures of worker tasks, by owner. A failure for one session does not stop the task for other sessions."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import peewee

from database_errors import error_for
from errors import Unavailable
from models.base import Model, TimestampField, clock
from rules.delivery.retries import TASK_RETRY_DELAYS, task_retry_delay

# The owner if the whole task fails.
WHOLE_TASK = ""
MAX_LOGGED = 5
# Daily tasks are retried the next day.
MAX_AGE = timedelta(days=2)

log = logging.getLogger("proofstone.worker")


class TaskFailure(Model):
    """A task's failure for one owner, deleted when the task succeeds.

    `error` contains only the exception's type, because its message can contain personal data. If the owner no longer
    needs the task, it is not retried, and the row is deleted after MAX_AGE.
    """

    personal_data = None
    task = peewee.TextField()
    owner = peewee.TextField()
    error = peewee.TextField()
    attempts = peewee.IntegerField()
    retry_at = TimestampField()

    class Meta:
        indexes = ((("task", "owner"), True),)

    @classmethod
    def of(cls, task: str) -> "dict[str, TaskFailure]":
        """Return the task's failures by owner."""
        return {failure.owner: failure for failure in cls.select().where(cls.task == task)}

    @classmethod
    def counts(cls) -> dict[str, int]:
        """Count the failing owners of each task."""
        query: Any = cls.select(cls.task, peewee.fn.COUNT(cls.id)).group_by(cls.task).order_by(cls.task)
        return dict(query.tuples())

    @classmethod
    def record(cls, task: str, owner: str, error: Exception, earlier: "TaskFailure | None") -> None:
        attempts = earlier.attempts + 1 if earlier else 1
        columns = {"error": type(error).__name__, "attempts": attempts}
        columns["retry_at"] = clock.now() + task_retry_delay(attempts)
        insert = cls.insert(task=task, owner=owner, **columns)
        insert.on_conflict(conflict_target=[cls.task, cls.owner], update=columns).execute()

    @classmethod
    def delete_expired(cls) -> int:
        return cls.delete().where(cls.retry_at < clock.now() - MAX_AGE).execute()

    def is_waiting(self, now: datetime) -> bool:
        """Return whether the next attempt is not due yet, even if the clock moved backward."""
        return now < self.retry_at <= now + TASK_RETRY_DELAYS[-1]


def run_each(task: str, owners: Iterable[Any], run: Callable[[Any], int], *, waits: bool = True) -> int:
    """Run a task for each owner. Returns the sum of the results.

    A failure for one owner is logged, stored, and retried after increasing delays. Raises only if the database is
    unavailable.

    owners -- ids or rows
    waits -- skip failed owners until their next attempt is due
    """
    owners = list(owners)
    failures = TaskFailure.of(task) if owners else {}
    now, total, failure_count = clock.now(), 0, 0
    for owner in owners:
        name = str(owner.id if isinstance(owner, Model) else owner)
        failure = failures.get(name)
        if waits and failure and failure.is_waiting(now):
            continue
        try:
            total += run(owner)
        except Exception as error:
            if isinstance(error, Unavailable) or error_for(error):
                raise
            failure_count += 1
            if failure_count <= MAX_LOGGED:
                log.exception("The task `%s` failed for %s.", task, name or "all")
            TaskFailure.record(task, name, error, failure)
        else:
            if failure:
                failure.delete_instance()
    if failure_count > MAX_LOGGED:
        log.error("The task `%s` failed for %s others.", task, failure_count - MAX_LOGGED)
    return total
