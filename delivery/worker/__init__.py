"""The worker: deliver emails and webhooks, close due sessions, run daily tasks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import config
from delivery import webhooks
from delivery.transports import create_transport
from delivery.worker import emails, housekeeping, submissions
from delivery.worker.loop import IDLE_SECONDS, Loop
from delivery.worker.senders import Senders
from models import Delivery, StorageMarker, WebhookDelivery, clock, db, privacy
from models.database import close_idle_connections
from models.heartbeats import HeartbeatRecorder
from models.ledger import numbering
from storage import Storage

MINUTE = timedelta(minutes=1)

log = logging.getLogger("proofstone.worker")


class Worker:
    """A worker process's tasks. Workers share the queues; if one dies, others take over its work."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        storage: Storage | None = None,
        optional_tasks: Sequence[Any] = (),
    ):
        """Create a worker; `optional_tasks` are the tasks of optional packages, with `name`, `run` and `threads`."""
        self._storage, self._optional_tasks = storage, optional_tasks
        self._loop = Loop()
        self._heartbeats = HeartbeatRecorder(is_continuous=False)
        self._sender_count = settings["WORKER_SENDERS"]
        transport = create_transport(settings["SMTP_URL"], settings["MAIL_FOLDER"])
        deliver = partial(emails.deliver, settings=settings, transport=transport, storage=storage)
        self._emails = self._create_senders(Delivery, deliver, "emails")
        networks = settings["WEBHOOK_ALLOWED_NETWORKS"] or ()
        post = partial(webhooks.deliver, allowed_networks=networks)
        self._webhooks = self._create_senders(WebhookDelivery, post, "webhooks")
        self._erased_pages = privacy.ErasedPages()
        self._minutes: dict[str, datetime] = {}
        self._day: date | None = None
        self._interrupted: set[str] = set()
        for message in config.warnings(settings):
            log.warning(message)
        if not settings["SMTP_URL"]:
            log.warning("SMTP_URL is not set: emails are saved in %s, not sent.", settings["MAIL_FOLDER"])

    def _create_senders(self, queue: Any, deliver: Callable[[Any], None], task: str) -> Senders:
        return Senders(self._loop, queue, deliver, self._sender_count, lambda: self._heartbeats.record(task))

    def run(self, ready_fd: int | None = None) -> None:
        """Run until `stop` is called. Close `ready_fd` when the worker is ready."""
        self._heartbeats = HeartbeatRecorder(is_continuous=True)
        close_idle_connections()
        numbering.warn_at_start()
        # In separate threads: a slow email server, recording, submission or retention run must not delay other tasks.
        senders = [self._emails.deliver_next, self._webhooks.deliver_next] * self._sender_count
        tasks = [self.run_housekeeping, self.run_slow_tasks, self.read_submissions]
        tasks += [
            partial(self._run_optional, task) for task in self._optional_tasks for _ in range(task.threads)
        ]
        self._loop.run(senders + [partial(self._pause_after, task) for task in tasks], ready_fd)
        self._emails.release_claimed()
        self._webhooks.release_claimed()
        db.close()
        log.info("The worker has stopped.")

    @property
    def is_stopped(self) -> bool:
        return self._loop.is_stopped

    def stop(self) -> None:
        self._loop.stop()

    def run_once(self) -> None:
        """Process all due work except webhooks."""
        self.enqueue_reminders()
        self._emails.deliver_due()
        self.run_housekeeping()
        self.run_slow_tasks()
        self.read_submissions()
        for task in self._optional_tasks:
            self._run_optional(task)
        # These tasks queue emails. A sign-in link can expire before the next run.
        self._emails.deliver_due()

    def post_webhooks(self) -> None:
        """Post all due webhook messages."""
        self._webhooks.deliver_due()

    def enqueue_reminders(self) -> None:
        """Queue due reminders, at most once a minute."""
        self._run_once_a_minute(housekeeping.MINUTE_TASKS)

    def run_housekeeping(self) -> None:
        """Queue reminders, close due sessions, and record and publish new events."""
        self.enqueue_reminders()
        tasks = (*housekeeping.TASKS, ("erased_pages", self._erased_pages.clear))
        housekeeping.run(tasks, self._heartbeats.record)

    def run_slow_tasks(self) -> None:
        """Check the recordings of changed closed sessions, and run the daily tasks if no worker has today."""
        housekeeping.run(housekeeping.CHECKS, self._heartbeats.record)
        self._heartbeats.record("daily")
        if self._day is None:
            # A worker that stopped while it was catching up can have left older events.
            housekeeping.run([("list_skipped", numbering.list_skipped)], lambda task: None)
        today = clock.now().date()
        # Workers claim daily tasks in the database. This check avoids a query every second.
        if self._day != today:
            housekeeping.run_daily_tasks(self._storage, self._interrupted, self._heartbeats.record)
            self._day = today

    def read_submissions(self) -> None:
        """Check the bundle store once a minute, and read candidates' submissions."""
        if self._storage is not None:
            self._run_once_a_minute([("storage", partial(StorageMarker.require, self._storage))])
            task = ("submissions", partial(submissions.read_due, self._storage))
            housekeeping.run([task], self._heartbeats.record)

    def _run_optional(self, task: Any) -> None:
        """Run an optional package's task until it has nothing to do."""
        while housekeeping.run([(task.name, task.run)], self._heartbeats.record) and not self.is_stopped:
            pass

    def _run_once_a_minute(self, tasks: Sequence[housekeeping.Task]) -> None:
        now, first = clock.now(), tasks[0][0]
        if first not in self._minutes or abs(now - self._minutes[first]) >= MINUTE:
            housekeeping.run(tasks, self._heartbeats.record)
            self._minutes[first] = now

    def _pause_after(self, task: Callable[[], None]) -> None:
        task()
        db.close()
        self._loop.sleep(IDLE_SECONDS)
