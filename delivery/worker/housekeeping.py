"""The worker's tasks by schedule. A task that fails does not stop other tasks (models/task_failures.py)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import models
from models import clock, invitations, privacy, sessions
from models.deliveries.outbox import requeue_removals
from models.ledger import audit, checkpoints, numbering
from models.ledger.integrity import check_closed
from models.sessions.submissions import delete_unused
from models.task_failures import WHOLE_TASK, run_each
from models.tasks import claims, queue
from models.webhooks.outbox import publish_new
from storage import Storage

MAX_PARTIAL_UPLOAD_AGE = timedelta(hours=24)

Task = tuple[str, Callable[[], Any]]


def apply_retention() -> int:
    """Erase the data of candidates whose retention period has ended. Return the number of candidates."""
    organizations = models.Organization.select().where(models.Organization.retention_days.is_null(False))
    return run_each("retention", organizations, lambda owner: privacy.erase_overdue(owner, audit.WORKER))


# Every second.
TASKS: tuple[Task, ...] = (
    ("sign_in_emails", models.SignInGrant.queue_emails),
    ("close", sessions.close_all_due),
    ("test_runs", queue.queue_due),
    ("lost_test_runs", claims.fail_lost),
    ("verify", models.Event.verify_pending),
    ("ledger", numbering.number_new),
    ("checkpoints", checkpoints.publish_due),
    ("publish", publish_new),
)
# Every second, but not during a daily task: a check reads a session's complete recording.
CHECKS: tuple[Task, ...] = (("integrity", check_closed),)
# Every minute.
MINUTE_TASKS: tuple[Task, ...] = (
    ("ledger_keys", numbering.introduce_keys),
    ("remind", invitations.enqueue_reminders),
    ("sign_ins", models.SignIn.delete_expired),
    ("sign_in_grants", models.SignInGrant.delete_expired),
)
# Once a day, in a single worker.
DAILY_TASKS: tuple[Task, ...] = (
    ("removals", requeue_removals),
    ("idempotency", models.IdempotentRequest.delete_expired),
    ("retention", apply_retention),
    ("list_skipped", numbering.list_skipped),
    ("uploads", delete_unused),
    ("feed", models.FeedEvent.delete_expired),
    ("sign_in_deliveries", models.SignInGrant.delete_emails),
    ("webhook_deliveries", models.WebhookDelivery.delete_expired),
    ("accepted_senders", models.AcceptedSender.delete_expired),
    ("access_hours", models.AccessHour.delete_expired),
    ("heartbeats", models.Heartbeat.delete_expired),
    ("task_failures", models.TaskFailure.delete_expired),
)


def run(tasks: Iterable[Task], beat: Callable[[str], None]) -> int:
    """Run all tasks. If the database was unavailable during a task, raise the error at the end.

    Returns the sum of the results of the tasks that succeeded.
    """
    total, outage = 0, None
    for name, function in tasks:
        try:
            total += _run(name, function)
            beat(name)
        except Exception as error:
            outage = error
    if outage:
        raise outage
    return total


def _run(name: str, function: Callable[[], Any]) -> int:
    return run_each(name, [WHOLE_TASK], lambda _: function() or 0)


def run_daily_tasks(
    storage: Storage | None, interrupted: set[str], beat: Callable[[str], None] = lambda task: None
) -> None:
    """Run the daily tasks that no worker has run today. They share a heartbeat.

    interrupted -- names of the tasks that this worker has to run again because the database was unavailable
    """
    tasks = list(DAILY_TASKS)
    if storage is not None:
        before = clock.now() - MAX_PARTIAL_UPLOAD_AGE
        tasks.append(("partial_uploads", partial(storage.delete_partial_uploads, before)))

    def claimed() -> Iterator[Task]:
        for name, function in tasks:
            if models.DailyTask.claim(name) or name in interrupted:
                interrupted.add(name)
                yield name, function

    def finish(name: str) -> None:
        interrupted.discard(name)
        beat("daily")

    run(claimed(), finish)
