"""Webhooks: who is told of an organization's events, and each message to them until it has arrived."""

import json
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import TooManyWebhooks, WebhookDisabled
from models.audit import SERVICE, AuditEntry
from models.base import Model, Query, TimestampField, clock, db, for_update, new_id
from models.feed import RETENTION, Feed, FeedEvent
from models.keys import CandidateKey
from models.leases import LEASE, Leased
from models.numbering import number_all
from models.orgs import ApiToken, Organization
from rules import hook_replies, signatures
from rules.hook_replies import Reply
from rules.instants import text_of

TEST = "webhook.test"
# For so long after a rotation messages are signed with the former secret too.
ROTATION = timedelta(days=1)
FORMER_SECRETS_MOST = 4
WEBHOOKS_MOST = 20


class Webhook(Model):
    """A receiver of an organization's events.

    `types` is empty for all of them. `former_secrets` are `{secret, until}`. `disabled_reason` is None while it is
    on, else `paused` (by a reviewer), `gone` (it answered 410) or `failing` (nothing arrived for days).
    `failing_since` is the first failure after the last success.
    """

    organization_id: Any
    organization = peewee.ForeignKeyField(Organization)
    url = peewee.TextField()
    description = peewee.TextField(null=True)
    types = peewee.JSONField(default=list)
    include_personal = peewee.BooleanField(default=False)
    secret = peewee.TextField()
    former_secrets = peewee.JSONField(default=list)
    disabled_reason = peewee.TextField(null=True)
    disabled_at = TimestampField(null=True)
    failing_since = TimestampField(null=True)
    held_until = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    class Meta:
        table_name = "webhooks"

    @classmethod
    def alive(cls) -> Query:
        return cls.select().where(cls.deleted_at.is_null())

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.alive().where(cls.organization == caller.organization_id)

    @classmethod
    def add(cls, organization: Organization, **values: Any) -> "Webhook":
        """A new receiver with a secret; TooManyWebhooks where there are enough."""
        with db.atomic():
            organization.lock()
            if cls.alive().where(cls.organization == organization).count() >= WEBHOOKS_MOST:
                raise TooManyWebhooks()
            return cls.create(organization=organization, secret=signatures.make_secret(), **values)

    def change(self, values: dict[str, Any]) -> "Webhook":
        """Change it; with `enabled` it is switched on, with a clean slate, or off."""
        with db.atomic():
            hook = self.lock()
            enabled = values.pop("enabled", None)
            hook.update_columns(updated_at=clock.now(), **values)
            if enabled and not hook.is_enabled:
                hook.update_columns(
                    disabled_reason=None, disabled_at=None, failing_since=None, held_until=None
                )
            elif enabled is False and hook.is_enabled:
                hook.disable("paused")
        return hook

    def rotate(self) -> "Webhook":
        """Give it a new secret; the former one signs too, for a day."""
        with db.atomic():
            hook = self.lock()
            until = text_of(clock.now() + ROTATION)
            former = [{"secret": hook.secret, "until": until}, *hook._still_former()]
            secret = signatures.make_secret()
            hook.update_columns(
                secret=secret, former_secrets=former[:FORMER_SECRETS_MOST], updated_at=clock.now()
            )
        return hook

    def delete_softly(self) -> None:
        """Send nothing to it any more, and forget its secrets."""
        with db.atomic():
            self.update_columns(deleted_at=clock.now(), secret="", former_secrets=[])
            WebhookDelivery.cancel_waiting(self)

    @property
    def is_enabled(self) -> bool:
        return self.disabled_reason is None

    @property
    def secrets(self) -> list[str]:
        """What messages are signed with now, the current one first."""
        return [self.secret, *(former["secret"] for former in self._still_former())]

    def wants(self, kind: str) -> bool:
        return not self.types or kind in self.types

    def disable(self, reason: str) -> None:
        """Switch it off; what waits for it is canceled and can be delivered again by call."""
        self.update_columns(disabled_reason=reason, disabled_at=clock.now())
        WebhookDelivery.cancel_waiting(self)

    def note(self, reply: Reply) -> None:
        """Keep how the receiver does, and switch it off where it is gone or hopeless."""
        now = clock.now()
        if reply.is_success:
            self.update_columns(failing_since=None, held_until=None)
            return
        failing_since = self.failing_since or now
        self.update_columns(failing_since=failing_since, held_until=now + hook_replies.hold(reply, now))
        if reply.is_gone:
            self._give_up("gone")
        elif self.is_enabled and hook_replies.is_hopeless(failing_since, now):
            self._give_up("failing")

    def _give_up(self, reason: str) -> None:
        self.disable(reason)
        AuditEntry.record(
            self.organization_id, "disableWebhook", SERVICE, subject_kind="webhook", subject_id=self.id
        )

    def _still_former(self) -> list[dict[str, str]]:
        now = text_of(clock.now())
        return [former for former in self.former_secrets if former["until"] > now]


class WebhookDelivery(Leased, Model):
    """One event for one receiver.

    `state` is `queued` until it is `delivered`, `failed` or `canceled`. `event_id` is what the receiver knows it by,
    the same at each try. `body` is sent as it stands; `answer` is the beginning of the last one. Once what it says
    about a candidate was erased, no answer is kept, since a receiver may repeat what it knows.
    """

    webhook_id: Any
    webhook = peewee.ForeignKeyField(Webhook, index=False)
    event_id = peewee.UUIDField()
    type = peewee.TextField()
    candidate_id = peewee.UUIDField(null=True, index=True)
    body = peewee.TextField()
    state = peewee.TextField(default="queued")
    attempts = peewee.IntegerField(default=0)
    due_at = TimestampField(default=clock.now)
    attempted_at = TimestampField(null=True)
    status = peewee.IntegerField(null=True)
    duration_ms = peewee.IntegerField(null=True)
    answer = peewee.TextField(null=True)
    last_error = peewee.TextField(null=True)
    is_erased = peewee.BooleanField(default=False)

    class Meta:
        table_name = "webhook_deliveries"
        indexes = ((("webhook", "event_id"), True), (("webhook", "created_at", "id"), False))

    @classmethod
    def of(cls, hook: Webhook) -> Query:
        return cls.select().where(cls.webhook == hook)

    # Making them

    @classmethod
    def enqueue(cls, organization_id: Any, feed_events: list[FeedEvent]) -> None:
        """Queue these events for every receiver that wants them, in the transaction that numbers them."""
        hooks = Webhook.alive().where(
            Webhook.organization == organization_id, Webhook.disabled_reason.is_null()
        )
        rows = [row for hook in hooks for row in _rows(hook, feed_events)]
        for batch in peewee.chunked(rows, 100):
            cls.insert_many(batch).execute()

    @classmethod
    def enqueue_test(cls, hook: Webhook) -> "WebhookDelivery":
        """Queue a message that tells of nothing, also for a receiver that is switched off; it has one try."""
        event_id = new_id()
        body = _body(event_id, TEST, clock.now(), {"webhookId": str(hook.id)})
        return cls.create(webhook=hook, event_id=event_id, type=TEST, body=body)

    def redeliver(self) -> "WebhookDelivery":
        """Send it again at once, with all tries; WebhookDisabled where the receiver is switched off."""
        if not self.webhook.is_enabled and self.type != TEST:
            raise WebhookDisabled()
        attempts = peewee.Case(None, ((WebhookDelivery.state == "queued", WebhookDelivery.attempts),), 0)
        with db.atomic():
            Webhook.update(held_until=None).where(Webhook.id == self.webhook_id).execute()
            WebhookDelivery.update(state="queued", attempts=attempts, due_at=clock.now()).where(
                WebhookDelivery.id == self.id
            ).execute()
        return WebhookDelivery.get_by_id(self.id)

    # Sending them

    @classmethod
    def free(cls, now: datetime) -> list[peewee.Expression]:
        """Its receiver has not asked to be left alone for now, or it is a test."""
        held = Webhook.select(Webhook.id).where(Webhook.held_until > now)
        return [cls.webhook.not_in(held) | (cls.type == TEST)]

    @classmethod
    def bring_forward(cls) -> None:
        """After the clock was set back: what is new is due now, all else after a lease's time at most, which is never
        too early for who still has it in hand."""
        now = clock.now()
        waits = cls.state == "queued"
        cls.update(due_at=now).where(waits, cls.attempts == 0, cls.due_at > now).execute()
        cls.update(due_at=now + LEASE).where(waits, cls.due_at > now + LEASE).execute()
        Webhook.update(held_until=now + LEASE).where(Webhook.held_until > now + LEASE).execute()

    def settle(self, reply: Reply) -> None:
        """Keep what came of a try, and decide what comes next."""
        now = clock.now()
        answer = peewee.Case(None, ((WebhookDelivery.is_erased, None),), reply.answer)
        told = {"status": reply.status, "duration_ms": reply.duration_ms, "last_error": reply.error}
        with db.atomic():
            hook = for_update(Webhook.select().where(Webhook.id == self.webhook_id)).get()
            finished = WebhookDelivery.update(
                attempted_at=now, answer=answer, **told, **self._following(reply, now)
            ).where(self.is_mine())
            if finished.execute() and (self.type != TEST or reply.is_success or reply.is_gone):
                hook.note(reply)

    def _following(self, reply: Reply, now: datetime) -> dict[str, Any]:
        if reply.is_success:
            return {"state": "delivered"}
        pause = hook_replies.next_pause(self.attempts, reply, now, random.random())
        if pause is None or reply.is_gone or self.type == TEST:
            return {"state": "failed"}
        return {"due_at": now + pause}

    @classmethod
    def cancel_waiting(cls, hook: Webhook) -> None:
        cls.update(state="canceled").where(cls.webhook == hook, cls.state == "queued").execute()

    # Letting them go

    @classmethod
    def forget_old(cls) -> int:
        """Let go of what is settled and was kept as long as the feed keeps it."""
        old = (cls.state != "queued") & (cls.created_at < clock.now() - RETENTION)
        return cls.delete().where(old).execute()

    @classmethod
    def of_person(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.candidate_id == key.id)

    @classmethod
    def erase_of(cls, key: CandidateKey, session: Any) -> int:
        """Take the names out of the messages, also of those that wait, and what receivers answered."""
        messages = list(cls.of_person(key, session).order_by(cls.id))
        for message in messages:
            cls.update(body=_impersonal(message.body), answer=None, is_erased=True).where(
                cls.id == message.id
            ).execute()
        return len(messages)


# What claim looks for.
WebhookDelivery.add_index(
    WebhookDelivery.index(
        WebhookDelivery.due_at,
        WebhookDelivery.id,
        where=(WebhookDelivery.state == "queued"),
        name="webhook_deliveries_due",
    )
)


def publish_new() -> int:
    """Number the events committed since the last run, and queue them for the receivers; returns how many."""
    return number_all(FeedEvent.unnumbered().select(FeedEvent.organization), _publish_batch)


def _publish_batch(organization_id: Any) -> int:
    with db.atomic():
        fresh = Feed.number_batch(organization_id)
        WebhookDelivery.enqueue(organization_id, fresh)
    return len(fresh)


def _rows(hook: Webhook, feed_events: list[FeedEvent]) -> Iterable[dict[str, Any]]:
    wanted = [occurrence for occurrence in feed_events if hook.wants(occurrence.type)]
    people = _people(wanted) if hook.include_personal else {}
    for occurrence in wanted:
        person = people.get(occurrence.candidate_id)
        data = occurrence.data | ({"candidate": person} if person else {})
        yield {
            "id": new_id(),
            "webhook": hook.id,
            "event_id": occurrence.id,
            "type": occurrence.type,
            "candidate_id": occurrence.candidate_id,
            "body": _body(occurrence.id, occurrence.type, occurrence.created_at, data),
        }


def _people(feed_events: list[FeedEvent]) -> dict[str, dict[str, str | None]]:
    """Names and addresses by candidates' ids. Their rows are held, so that no erasure comes between reading a name
    and writing it down."""
    ids = {occurrence.candidate_id for occurrence in feed_events} - {None}
    keys = for_update(
        CandidateKey.select().where(CandidateKey.id.in_(ids)).order_by(CandidateKey.id), "FOR SHARE"
    )
    return {str(key.id): {"name": key.candidate_name, "email": key.candidate_email} for key in keys}


def _body(event_id: Any, kind: str, moment: datetime, data: dict[str, Any]) -> str:
    payload = {"id": str(event_id), "type": kind, "timestamp": text_of(moment), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _impersonal(body: str) -> str:
    payload = json.loads(body)
    payload["data"].pop("candidate", None)
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
