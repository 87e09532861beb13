"""The tables for webhooks and webhook deliveries, and their queries."""

import json
from typing import Any

import peewee

from models import sql
from models.base import Model, PersonalData, Query, SoftDeleted, TimestampField, add_index, clock
from models.feed import RETENTION
from models.keys import CandidateKey
from models.leases import Leased
from models.orgs import Organization
from rules.timestamps import format_timestamp


class Webhook(SoftDeleted, Model):
    """An endpoint that receives an organization's events.

    An empty `types` list means all events. `former_secrets` contains objects `{secret, until}`. `disabled_reason` is
    None while the webhook is enabled, otherwise `paused` (by a reviewer), `gone` (it responded with 410) or `failing`
    (failing for days). `failing_since` is the time of the first failure since the last success. `last_error` remains
    after a success. Nothing is sent before `held_until`.
    """

    personal_data = None
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
    last_error = peewee.TextField(null=True)
    last_error_at = TimestampField(null=True)
    held_until = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def is_enabled(self) -> bool:
        return self.disabled_reason is None

    @property
    def signing_secrets(self) -> list[str]:
        """The current secret, then the former secrets that are still valid."""
        return [self.secret, *(former["secret"] for former in self.valid_former_secrets)]

    @property
    def valid_former_secrets(self) -> list[dict[str, str]]:
        now = format_timestamp(clock.now())
        return [former for former in self.former_secrets if former["until"] > now]

    def is_subscribed_to(self, event_type: str) -> bool:
        return not self.types or event_type in self.types


class WebhookDelivery(Leased, Model):
    """An event to be sent to a webhook.

    `state` is `queued`, then `delivered`, `failed` or `canceled`. `event_id` is the event's id in every attempt.
    `answer` is the start of the latest response. Responses are not stored after an erasure, because receivers can echo
    personal data.
    """

    personal_data = PersonalData("webhookDeliveries", "Messages about you to the hiring team's systems.")

    due_lanes, lane_column = sql.DUE_WEBHOOK_DELIVERIES, "webhook"

    webhook_id: Any
    webhook = peewee.ForeignKeyField(Webhook, index=False)
    event_id = peewee.UUIDField()
    type = peewee.TextField()
    candidate_id = peewee.UUIDField(null=True, index=True)
    body = peewee.TextField()
    traceparent = peewee.TextField(null=True)
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
        indexes = ((("webhook", "event_id"), True), (("webhook", "created_at", "id"), False))

    @classmethod
    def of(cls, hook: Webhook) -> Query:
        return cls.select().where(cls.webhook == hook)

    @classmethod
    def cancel_queued(cls, hook: Webhook) -> None:
        cls.update(state="canceled").where(cls.webhook == hook, cls.state == "queued").execute()

    @classmethod
    def delete_expired(cls) -> int:
        """Delete finished deliveries older than RETENTION. Returns how many."""
        old = (cls.state != "queued") & (cls.created_at < clock.now() - RETENTION)
        return cls.delete().where(old).execute()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.candidate_id == key.id)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        """Remove personal data from all bodies and responses."""
        messages = list(cls.personal_rows(key, session).order_by(cls.id))
        for message in messages:
            message.update_columns(body=message.body_without_personal_data, answer=None, is_erased=True)
        return len(messages)

    @property
    def body_without_personal_data(self) -> str:
        """The body without the candidate's name, email address and external id."""
        payload = json.loads(self.body)
        payload["data"].pop("candidate", None)
        payload["data"] |= {"externalId": None} if "externalId" in payload["data"] else {}
        return json_body(payload)


# Used to claim queued deliveries.
_is_queued = WebhookDelivery.state == "queued"
_columns = (WebhookDelivery.webhook, WebhookDelivery.due_at, WebhookDelivery.id)
add_index("webhook_deliveries_queued", *_columns, where=_is_queued)


def json_body(payload: dict[str, Any]) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
