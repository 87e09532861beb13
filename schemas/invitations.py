"""Key expiry, accommodations, and messages to candidates."""

from typing import Any

import marshmallow as ma

from schemas.base import Body, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, DocumentedField, Flag, Id, Integer, ListOf
from schemas.keys import INVITE_STATES, Invite
from schemas.queries import PageQuery
from schemas.timestamps import Timestamp, TimestampInput

KINDS = ("invitation", "reminder")
_FACTOR = "Factor to multiply the assessment's time limit by."


class ReopenedExpiry(Body):
    """A key's new expiry. If empty, the key expires `expiresInDays` (from the assessment) from now."""

    alternatives = ("expires_at",)

    expires_at = TimestampInput("Alternative to `days`: a time within the next 365 days.")
    days = Integer("Days from now.", min=1, max=365, example=7)
    send_email = Flag("True to send the invitation again, with the new expiry.", example=True)

    @ma.validates_schema
    def check_at_most_one(self, data: dict, **kwargs: Any) -> None:
        _check_at_most_one(data, "days", "expiresAt")


class NewExpiry(ReopenedExpiry):
    """A key's new expiry."""

    days = Integer("Days after the current expiry.", min=1, max=365, example=7)

    @ma.validates_schema
    def check_not_empty(self, data: dict, **kwargs: Any) -> None:
        if not data.keys() & {"days", "expires_at"}:
            raise ma.ValidationError("Either `days` or `expiresAt` is required.", "days")


class Multiplier(DocumentedField):
    """A factor from 1 to 10 with at most three decimals, stored in thousandths."""

    openapi = {"type": "number"}
    default_error_messages = {"invalid": "Must be a number between 1 and 10 with at most three decimals."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        thousandths = round(value * 1000) if is_number and 1 <= value <= 10 else 0
        if thousandths == 0 or thousandths / 1000 != value:
            raise self.make_error("invalid")
        return thousandths

    def _serialize(self, value: int | None, attr: Any, obj: Any, **kwargs: Any) -> float | None:
        return None if value is None else value / 1000


class NewAccommodation(Body):
    """A candidate's extra time, in minutes or as a factor. An empty body removes the accommodation."""

    alternatives = ("time_multiplier",)

    extra_minutes = Integer("Minutes added to the assessment's time limit.", min=1, max=43_200, example=30)
    time_multiplier = Multiplier(_FACTOR)

    @ma.validates_schema
    def check_at_most_one(self, data: dict, **kwargs: Any) -> None:
        _check_at_most_one(data, "timeMultiplier", "extraMinutes")


def _check_at_most_one(data: dict, name: str, other: str) -> None:
    if len(data.keys() - {"send_email"}) > 1:
        raise ma.ValidationError(f"Only one of `{name}` and `{other}` is allowed.", name)


class Accommodation(Schema):
    """A candidate's time limit."""

    extra_minutes = Integer("Minutes added to the assessment's time limit.", example=30, null=True)
    time_multiplier = Multiplier(_FACTOR, attribute="time_multiplier_thousandths", example=1.5, null=True)
    time_limit_minutes = Integer("Resulting time limit in minutes.", example=120, null=True)


AccommodationResponse = define_response("accommodation", Accommodation, "Time limit.")


class Delivery(Invite):
    """A message to a candidate."""

    id = Id("Unique id.")
    kind = Choice(KINDS, "Kind of message.", example="invitation")
    candidate_id = Id("Id of the candidate key.", attribute="subject_id")
    next_try_at = Timestamp("Time of the next attempt; null if none is scheduled.", null=True)
    created_at = Timestamp("Time when the message was queued.")


DeliveryQuery = define_schema(
    "DeliveryQuery",
    "Filters and paging for messages.",
    PageQuery,
    state=Choice(INVITE_STATES, "Only messages in this state."),
)
Deliveries = define_schema(
    "Deliveries", "Messages, newest first.", PageOf, deliveries=ListOf(Delivery, "Messages.")
)
DeliveryResponse = define_response("delivery", Delivery, "The message.")
