"""The worker: deliver emails and webhooks, close due sessions, run daily tasks."""

import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from delivery import webhooks
from delivery.transports import transport_from
from delivery.worker import housekeeping, mails
from delivery.worker.loop import Loop
from models import Delivery, Webhook, WebhookDelivery, clock, db, invitations
from models.base import ClockStepDetector
from storage import Storage

REMINDER_INTERVAL = timedelta(minutes=1)

log = logging.getLogger("proofstone.worker")


class Worker:
    """The tasks of one worker process. Any number of workers share the queues; one that dies loses nothing."""

    def __init__(self, settings: Mapping[str, Any], storage: Storage | None = None):
        self._settings = settings
        self._storage = storage
        self._transport = transport_from(settings["SMTP_URL"], settings["MAIL_FOLDER"])
        self._loop = Loop()
        self._clock_steps = ClockStepDetector()
        self._reminded_at: datetime | None = None
        self._day: date | None = None
        if not settings["SEAL_KEYS"]:
            log.warning(
                "SEAL_KEYS is not set: whoever can write to the database can rewrite records unnoticed."
            )
        if not settings["SMTP_URL"]:
            log.warning("SMTP_URL is not set: emails are saved in %s, not sent.", settings["MAIL_FOLDER"])

    def run(self, ready_fd: int | None = None) -> None:
        """Work until `stop` is called. `ready_fd` is closed when the worker is ready."""
        # A thread each: a slow mail server or webhook must not delay the other tasks.
        self._loop.run((self.deliver_mails, self.post_webhooks, self.run_housekeeping), ready_fd)

    def stop(self) -> None:
        self._loop.stop()

    def run_once(self) -> None:
        """Process all due work except webhooks."""
        self._check_clock()
        self.deliver_mails()
        self.run_housekeeping()

    def deliver_mails(self) -> None:
        """Queue reminders, then deliver all due emails and removals."""
        now = clock.now()
        if self._reminded_at is None or abs(now - self._reminded_at) >= REMINDER_INTERVAL:
            invitations.enqueue_reminders()
            self._reminded_at = now
        deliver = partial(
            mails.deliver, settings=self._settings, transport=self._transport, storage=self._storage
        )
        self._loop.process(Delivery, deliver)

    def post_webhooks(self) -> None:
        """Post all due webhook messages."""
        networks = self._settings["WEBHOOK_ALLOWED_NETWORKS"] or ()
        self._loop.process(WebhookDelivery, partial(webhooks.deliver, allowed_networks=networks))

    def run_housekeeping(self) -> None:
        """Close due sessions, seal and publish new records, and run the daily tasks."""
        self._check_clock()
        housekeeping.process_new()
        today = clock.now().date()
        # The database decides which worker runs a task; this only avoids asking it every second.
        if self._day != today:
            housekeeping.run_daily_tasks(self._storage)
            self._day = today

    def _check_clock(self) -> None:
        if self._clock_steps.has_stepped_back:
            log.warning("The clock was set back. Rescheduling queued messages.")
            with db.atomic():
                Delivery.bring_forward()
                WebhookDelivery.bring_forward()
                Webhook.bring_forward()
            self._clock_steps.reset()
