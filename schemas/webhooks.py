"""Webhooks and their deliveries, in and out."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.event_types import EVENT_TYPES
from schemas import (
    Body,
    Deleted,
    Flag,
    Id,
    PageOf,
    PageQuery,
    RepositoryUrl,
    Schema,
    Text,
    Timestamp,
    described,
    is_repository_url,
)

STATES = ("queued", "delivered", "failed", "canceled")
REASONS = ("paused", "gone", "failing")
URL_EXAMPLE = "https://ats.example.com/hooks/proofstone"
TYPES_EXAMPLE = ["session.completed", "session.expired"]


class ReceiverUrl(RepositoryUrl):
    """An absolute https or http URL of ASCII characters with a host, without user, password or fragment."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = fields.String._deserialize(self, value, attr, data, **kwargs).strip()
        is_one = text.isascii() and is_repository_url(text) and text.startswith(("https://", "http://"))
        if not is_one or len(text) > 2048 or "@" in text or "#" in text:
            raise ma.ValidationError(
                "Must be an absolute https URL of ASCII characters with a host, without user, password or "
                "fragment, of at most 2048 characters."
            )
        return text


def _types(**kwargs: Any) -> fields.List:
    return fields.List(
        fields.String(validate=validate.OneOf(list(EVENT_TYPES))),
        validate=validate.Length(max=len(EVENT_TYPES)),
        metadata=described(
            "Which events it is told of; empty for all, those of later versions too.", TYPES_EXAMPLE
        ),
        **kwargs,
    )


class NewWebhook(Body):
    """A receiver of events."""

    url = ReceiverUrl(
        required=True,
        metadata=described(
            "Where events are sent, over https; plain http is for networks that the service's settings open.",
            URL_EXAMPLE,
        ),
    )
    description = Text(255, one_line=True, metadata=described("What it is for.", "Applicant tracking"))
    types = _types(load_default=list)
    include_personal = Flag(
        load_default=False,
        metadata=described("Whether events carry the candidate's name and address beside the id.", False),
    )


class WebhookChange(Body):
    """What changes."""

    is_change = True

    url = ReceiverUrl(metadata=described("Where events are sent from now on.", URL_EXAMPLE))
    description = Text(
        255,
        one_line=True,
        allow_none=True,
        metadata=described("What it is for; null clears.", "Applicant tracking"),
    )
    types = _types()
    include_personal = Flag(
        metadata=described(
            "Whether events carry the candidate's name and address; those that wait stay as they are.", False
        )
    )
    enabled = Flag(
        metadata=described(
            "True switches it on again; false switches it off and cancels what waits for it.", True
        )
    )


class Webhook(Schema):
    """A receiver of events, without its secret."""

    id = Id(metadata=described("Its id."))
    url = fields.String(metadata=described("Where events are sent.", URL_EXAMPLE))
    description = fields.String(allow_none=True, metadata=described("What it is for.", "Applicant tracking"))
    types = fields.List(
        fields.String(), metadata=described("Which events it is told of; empty for all.", TYPES_EXAMPLE)
    )
    include_personal = fields.Boolean(metadata=described("Whether events carry names and addresses.", False))
    enabled = fields.Boolean(
        attribute="is_enabled", metadata=described("Whether events are sent to it.", True)
    )
    disabled_reason = fields.String(
        allow_none=True,
        metadata=described(
            "Why it is off: `paused` by a reviewer, `gone` since it answered 410, `failing` since nothing arrived "
            "for days. Null while it is on.",
            enum=[*REASONS, None],
        ),
    )
    disabled_at = Timestamp(allow_none=True, metadata=described("When it was switched off."))
    failing_since = Timestamp(
        allow_none=True, metadata=described("The first failure after the last success; null if all is well.")
    )
    created_at = Timestamp(metadata=described("When it was made."))
    updated_at = Timestamp(metadata=described("When it was last changed."))


class OneWebhook(Schema):
    """One webhook."""

    webhook = fields.Nested(Webhook, metadata=described("The webhook."))


class ShownWebhook(OneWebhook):
    """A webhook with its secret, which is shown this once."""

    secret = fields.String(
        metadata=described(
            "What messages are signed with. It cannot be shown again.",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwQ0mUM6mDrpM=",
        )
    )


class Webhooks(PageOf):
    """A page of webhooks, oldest first."""

    webhooks = fields.List(fields.Nested(Webhook), metadata=described("The webhooks of this page."))


class DeletedWebhook(Deleted):
    """The webhook is gone."""


class HookDeliveryQuery(PageQuery):
    """Which deliveries."""

    state = fields.String(
        validate=validate.OneOf(STATES), metadata=described("Only those in this state.", "failed")
    )


class HookDelivery(Schema):
    """One event for one webhook."""

    id = Id(metadata=described("Its id."))
    event_id = Id(metadata=described("The event's id: `webhook-id` of the request, the same at each try."))
    type = fields.String(
        metadata=described("The event's type; `webhook.test` for a test.", "session.completed")
    )
    state = fields.String(metadata=described("Where it stands.", "delivered", enum=list(STATES)))
    attempts = fields.Integer(metadata=described("How often it was tried.", 1))
    due_at = Timestamp(metadata=described("When it is tried next, while it is queued."))
    attempted_at = Timestamp(allow_none=True, metadata=described("When the last try ended."))
    request = fields.String(
        attribute="body",
        metadata=described("The body that is sent.", '{"type":"session.completed"}'),
    )
    status = fields.Integer(
        allow_none=True, metadata=described("The status that the receiver answered last.", 200)
    )
    duration_ms = fields.Integer(
        allow_none=True, metadata=described("How long the last try took, in milliseconds.", 84)
    )
    answer = fields.String(
        allow_none=True, metadata=described("The first KiB of the receiver's last answer.", "ok")
    )
    error = fields.String(
        attribute="last_error",
        allow_none=True,
        metadata=described("What went wrong at the last try.", "The receiver answered 500."),
    )
    created_at = Timestamp(metadata=described("When it was queued."))


class OneHookDelivery(Schema):
    """One delivery."""

    delivery = fields.Nested(HookDelivery, metadata=described("The delivery."))


class HookDeliveries(PageOf):
    """A page of deliveries, oldest first."""

    deliveries = fields.List(fields.Nested(HookDelivery), metadata=described("The deliveries of this page."))
