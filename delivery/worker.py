"""What happens after the answer: deliver what is due, close what is over, stop politely."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import errors
from delivery import PermanentFailure, TemporaryFailure, webhooks
from delivery.mail import Invitation, compose
from delivery.transports import transport_from
from models import (
    BundleUpload,
    CandidateKey,
    DailyTask,
    Delivery,
    Event,
    FeedEvent,
    IdempotentRequest,
    Organization,
    Seal,
    WebhookDelivery,
    audit,
    clock,
    db,
    invitations,
    privacy,
    sessions,
)
from models.base import ClockStepDetector
from models.delivery import REMINDER, REMOVAL
from models.webhooks import TEST, publish_new
from rules.hook_replies import Reply
from storage import Storage, StorageError

IDLE_SECONDS = 1.0
AWAY_SECONDS = 2.0
NAP_SECONDS = 0.05
LEFTOVERS_AFTER = timedelta(hours=24)
REMINDING_PAUSE = timedelta(minutes=1)
# Most that a message in hand may take once the worker is to stop; then it is given back.
STOP_SECONDS = 15

log = logging.getLogger("proofstone.worker")


class Worker:
    """One worker; any number of them share the work, and one that dies loses nothing."""

    def __init__(self, settings: Mapping[str, Any], storage: Storage | None = None):
        self.settings = settings
        self.storage = storage
        self._day: date | None = None
        self._reminded_at: datetime | None = None
        self.transport = transport_from(settings["SMTP_URL"], settings["MAIL_FOLDER"])
        self._stopped = False
        self._setback = ClockStepDetector()
        self._in_hand: list[Delivery | WebhookDelivery] = []
        if not settings["SMTP_URL"]:
            log.warning("SMTP_URL is not set: mails are not sent but saved in %s", settings["MAIL_FOLDER"])

    def stop(self) -> None:
        """Finish the message in hand, or give it back after STOP_SECONDS; then return from `run`."""
        self._stopped = True

    def run(self, ready_fd: int | None = None) -> None:
        """Work until told to stop; a database that is away is waited for.

        `ready_fd` is the end of a pipe at whose other end somebody waits for this to begin: it is closed.
        """
        log.info("The worker is ready.")
        if ready_fd is not None:
            os.close(ready_fd)
        # Each by itself: a mail server, or receivers, that let one wait must keep nothing else waiting.
        threads = [
            self._at_work("mails", self.deliver_mails),
            self._at_work("webhooks", self.post_webhooks),
            self._at_work("records", self.keep_records),
        ]
        while not self._stopped:
            time.sleep(NAP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        self._give_back_messages()
        log.info("The worker has stopped.")

    def _at_work(self, name: str, work: Callable[[], None]) -> threading.Thread:
        # A daemon: the process ends without a thread that somebody keeps waiting.
        thread = threading.Thread(target=self._repeat, args=(work,), name=name, daemon=True)
        thread.start()
        return thread

    def _give_back_messages(self) -> None:
        """Let the next worker have what is still in hand; it need not wait for the end of the lease."""
        for delivery in tuple(self._in_hand):
            log.warning("Delivery %s takes too long; it is given back.", delivery.id)
            try:
                delivery.give_back()
            except Exception as error:
                log.error("It waits for the end of its lease: %s", type(error).__name__)
        self._give_back()

    @contextmanager
    def _holding(self, delivery: Delivery | WebhookDelivery) -> Iterator[None]:
        self._in_hand.append(delivery)
        try:
            yield
        finally:
            self._in_hand.remove(delivery)

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stopped:
            try:
                work()
                pause = IDLE_SECONDS
            except Exception as error:
                if errors.meaning_of(error):
                    log.error("The database is away: %s", type(error).__name__)
                else:
                    # One bad row must not keep all others waiting; its lease keeps it away for a while.
                    log.exception("The worker stumbled and goes on.")
                pause = AWAY_SECONDS
            self._give_back()
            self._rest(pause)

    def _rest(self, seconds: float) -> None:
        # A flag and short naps, and no threading.Event: its lock may be held by what a signal interrupts, the
        # handler of the signal before it included.
        end = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < end:
            time.sleep(NAP_SECONDS)

    def work_off(self) -> None:
        """All that there is to do save webhooks, once."""
        self._mind_the_clock()
        self.deliver_mails()
        self.keep_records()

    def deliver_mails(self) -> None:
        """Remind who is due, and deliver every message that is due."""
        self._remind()
        while not self._stopped and (delivery := Delivery.claim()):
            with self._holding(delivery):
                self._deliver(delivery)

    def keep_records(self) -> None:
        """Settle every session that needs it, seal, chain and number what is new, and do what is due once a day."""
        self._mind_the_clock()
        sessions.settle_all()
        Event.verify_waiting()
        Seal.seal_new()
        audit.chain_new()
        publish_new()
        self._do_daily()

    def _mind_the_clock(self) -> None:
        if self._setback.has_stepped_back:
            log.warning("The clock was set back; what waits for its moment is brought forward.")
            with db.atomic():
                Delivery.bring_forward()
                WebhookDelivery.bring_forward()
            self._setback.reset()

    def _remind(self) -> None:
        """Once a minute: a reminder is a matter of days."""
        now = clock.now()
        if self._reminded_at is None or abs(now - self._reminded_at) >= REMINDING_PAUSE:
            invitations.enqueue_reminders()
            self._reminded_at = now

    def post_webhooks(self) -> None:
        """Deliver every message to a webhook that is due."""
        while not self._stopped and (delivery := WebhookDelivery.claim()):
            with self._holding(delivery):
                self._post(delivery)

    def _post(self, delivery: WebhookDelivery) -> None:
        hook = delivery.webhook
        if hook.deleted_at or (not hook.is_enabled and delivery.type != TEST):
            WebhookDelivery.cancel_waiting(hook)
        elif delivery.is_worn_out:
            delivery.settle(Reply(words="No attempt to send it came to an end."))
        else:
            delivery.settle(webhooks.deliver(delivery, self.settings["WEBHOOK_ALLOWED_NETWORKS"] or ()))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.is_worn_out:
            delivery.fail("No attempt to send it came to an end.")
            return
        try:
            if delivery.kind == REMOVAL:
                self._remove(delivery)
            else:
                self._invite(delivery)
        except PermanentFailure as failure:
            log.warning("Delivery %s failed for good.", delivery.id)
            delivery.fail(failure.words)
        except TemporaryFailure as failure:
            log.warning("Delivery %s could not be made now; it is tried again.", delivery.id)
            delivery.postpone(failure.words)

    def _invite(self, delivery: Delivery) -> None:
        key = CandidateKey.alive().where(CandidateKey.id == delivery.subject_id).get_or_none()
        if key is None or key.status == "expired":
            delivery.cancel("The key was revoked or has expired.")
            return
        if not key.candidate_email:
            delivery.cancel("The candidate has no email address any more.")
            return
        if delivery.kind == REMINDER and (key.status != "pending" or key.reminded_at is None):
            delivery.cancel("The candidate has begun, or the key was extended.")
            return
        delivery.succeed(self.transport.deliver(self._message(delivery, key)))

    def _message(self, delivery: Delivery, key: CandidateKey) -> Any:
        assessment = key.assessment
        invitation = Invitation(
            message_id=_message_id(delivery.id),
            to_address=key.candidate_email or "",
            candidate_name=key.candidate_name,
            org_name=delivery.data["orgName"],
            assessment_title=assessment.title,
            role=assessment.role,
            task_brief=assessment.task_brief,
            time_limit_minutes=key.time_limit_minutes,
            key=key.key,
            expires_at=key.expires_at,
            base_url=self.settings["BASE_URL"],
            reply_to=key.organization.reply_to,
            is_reminder=delivery.kind == REMINDER,
        )
        return compose(invitation, self.settings["MAIL_FROM"], clock.now())

    def _remove(self, delivery: Delivery) -> None:
        """Let an object go from the store, or a saved mail from its folder."""
        if "mail" in delivery.data:
            self.transport.forget(_message_id(delivery.data["mail"]))
        else:
            self._delete(delivery.data["objectKey"])
        delivery.succeed("done")

    def _delete(self, object_key: str) -> None:
        if self.storage is None:
            raise TemporaryFailure("There is no store to remove it from.")
        try:
            self.storage.delete(object_key)
        except StorageError as error:
            raise TemporaryFailure(str(error)) from error

    def _do_daily(self) -> None:
        """Retention and leftovers, once a day whatever the number of workers; each asks the database once a day."""
        today = clock.now().date()
        if self._day == today:
            return
        if DailyTask.take("retention"):
            Delivery.requeue_removals()
            IdempotentRequest.forget_old()
            for organization in Organization.select().where(Organization.retention_days.is_null(False)):
                self._erase_overdue(organization)
        if DailyTask.take("leftovers"):
            self._clear_up()
        if DailyTask.take("feed"):
            FeedEvent.delete_expired()
            WebhookDelivery.forget_old()
        self._day = today

    def _clear_up(self) -> None:
        Seal.seal_skipped()
        BundleUpload.delete_unused()
        if self.storage is not None:
            self.storage.delete_partial_uploads(clock.now() - LEFTOVERS_AFTER)

    def _erase_overdue(self, organization: Organization) -> None:
        for key in list(privacy.overdue(organization)):
            try:
                with db.atomic():
                    privacy.erase(key)
                    audit.record_erasure(key, audit.WORKER)
            except Exception:
                # One candidate's trouble must not keep the others' data for another day.
                log.exception("The data of candidate %s could not be erased.", key.id)
            else:
                log.info("The data of candidate %s was erased: its retention is over.", key.id)

    def _give_back(self) -> None:
        if not db.is_closed():
            db.close()


def _message_id(delivery_id: Any) -> str:
    return f"<{delivery_id}@proofstone>"
