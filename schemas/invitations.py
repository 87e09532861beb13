"""What changes about an invitation, and how its messages fare."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from schemas import Body, Count, Id, PageOf, PageQuery, Schema, Timestamp, TimestampInput, described

STATES = ("queued", "sent", "saved", "failed", "canceled")
KINDS = ("invitation", "reminder")


class NewExpiry(Body):
    """Until when the key can be redeemed: a moment, or a number of days."""

    expires_at = TimestampInput(
        metadata=described("The moment; in the future, and at most 365 days from now. Instead of `days`.")
    )
    days = Count(1, 365, metadata=described("Days after the present expiry.", 7))

    @ma.validates_schema
    def one_of_both(self, data: dict, **kwargs: Any) -> None:
        if "expires_at" not in data and "days" not in data:
            raise ma.ValidationError("Either `days` or `expiresAt` is required.", "days")
        if len(data) > 1:
            raise ma.ValidationError("Only one of `days` and `expiresAt` can be given.", "days")


class ReopenedExpiry(Body):
    """Until when the key can be redeemed; with neither, for the assessment's `expiresInDays`."""

    expires_at = TimestampInput(
        metadata=described("The moment; in the future, and at most 365 days from now. Instead of `days`.")
    )
    days = Count(1, 365, metadata=described("Days from now.", 7))

    @ma.validates_schema
    def not_both(self, data: dict, **kwargs: Any) -> None:
        if len(data) > 1:
            raise ma.ValidationError("Only one of `days` and `expiresAt` can be given.", "days")


class Multiplier(fields.Field):
    """A factor from 1 to 10 with at most three decimals; inside whole thousandths."""

    def __init__(self, **kwargs: Any):
        super().__init__(metadata={"type": "number"} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ma.ValidationError("Not a valid number.")
        thousandths = round(value * 1000) if 1 <= value <= 10 else 0
        if thousandths == 0 or thousandths / 1000 != value:
            raise ma.ValidationError("Must be from 1 to 10, with at most three decimals.")
        return thousandths

    def _serialize(self, value: int | None, attr: Any, obj: Any, **kwargs: Any) -> float | None:
        return None if value is None else value / 1000


class NewAccommodation(Body):
    """More time for one candidate: minutes, or a factor of the time limit; with neither, none any more."""

    extra_minutes = Count(1, 43_200, metadata=described("Minutes beside the assessment's time limit.", 30))
    time_multiplier = Multiplier(
        metadata=described("What the time limit is multiplied by, instead of `extraMinutes`.")
    )

    @ma.validates_schema
    def not_both(self, data: dict, **kwargs: Any) -> None:
        if len(data) > 1:
            raise ma.ValidationError("Only one of both can be given.", "timeMultiplier")


class Accommodation(Schema):
    """The time that one candidate has."""

    extra_minutes = fields.Integer(
        allow_none=True, metadata=described("Minutes beside the assessment's time limit.", 30)
    )
    time_multiplier = Multiplier(
        attribute="time_multiplier_thousandths",
        allow_none=True,
        metadata=described("What the assessment's time limit is multiplied by.", 1.5),
    )
    time_limit_minutes = fields.Integer(
        allow_none=True,
        metadata=described("The candidate's time limit, as the client is told; null without a limit.", 120),
    )


class OneAccommodation(Schema):
    """A candidate's accommodation."""

    accommodation = fields.Nested(Accommodation, metadata=described("The accommodation."))


class Delivery(Schema):
    """One message to one candidate."""

    id = Id(metadata=described("Its id."))
    kind = fields.String(metadata=described("What it is.", "invitation", enum=list(KINDS)))
    candidate_id = Id(attribute="subject_id", metadata=described("The candidate that it is for."))
    state = fields.String(
        metadata=described(
            "`queued` (waiting, or to be tried again), `sent`, `saved` (as a file), `failed` or `canceled`.",
            "failed",
            enum=list(STATES),
        )
    )
    attempts = fields.Integer(metadata=described("How often delivery was tried.", 1))
    last_error = fields.String(
        allow_none=True, metadata=described("The mail server's last words.", "550 5.1.1 No such user")
    )
    next_try_at = Timestamp(allow_none=True, metadata=described("When it is tried next; null if it is not."))
    sent_at = Timestamp(allow_none=True, metadata=described("When the mail server took it."))
    created_at = Timestamp(metadata=described("When it was queued."))


class DeliveryQuery(PageQuery):
    """Which messages."""

    state = fields.String(
        validate=validate.OneOf(STATES),
        metadata=described("Only messages that stand here.", "failed", enum=list(STATES)),
    )


class Deliveries(PageOf):
    """A page of messages, the latest first."""

    deliveries = fields.List(fields.Nested(Delivery), metadata=described("The messages of this page."))


class OneDelivery(Schema):
    """One message."""

    delivery = fields.Nested(Delivery, metadata=described("The message."))
