"""The event feed."""

from typing import Any

import marshmallow as ma

from rules.delivery.event_types import EVENT_TYPES
from schemas.base import Schema, response_example
from schemas.feed_events import SessionPayload
from schemas.fields import Choice, Dict, Flag, Id, Integer, ListOf, String
from schemas.queries import MAX_OFFSET, Filter, Limit, QueryInteger
from schemas.timestamps import Timestamp

_DESCRIPTIONS = " ".join(f"`{name}`: {description}" for name, description in EVENT_TYPES.items())
EXAMPLE_DATA = {
    name: value for name, value in response_example(SessionPayload()).items() if name != "candidate"
}


class TypeList(String):
    """Event types, separated by commas."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        types = super()._deserialize(value, attr, data, **kwargs).split(",")
        if not set(types) <= set(EVENT_TYPES):
            raise ma.ValidationError(f"Must be event types, separated by commas: {', '.join(EVENT_TYPES)}.")
        return types


class FeedQuery(Filter):
    """Position in the feed, and event types."""

    after = QueryInteger("Previous response's `next`. If omitted, starts at `from`.", min=0, max=MAX_OFFSET)
    start = Choice(["oldest", "now"], "Start if `after` is omitted.", data_key="from", load_default="oldest")
    types = TypeList("Event types, separated by commas.")
    limit = Limit()


class FeedEvent(Schema):
    """An event. Webhooks receive the same event with the same id."""

    id = Id("Unique id; the `webhook-id` in webhook requests.")
    type = Choice(EVENT_TYPES, _DESCRIPTIONS, example="session.completed")
    timestamp = Timestamp("Event time.", attribute="created_at")
    data = Dict(
        "Ids and states. With `candidateId`, includes the candidate's current `externalId`.",
        attribute="public_data",
        example=EXAMPLE_DATA,
    )


class FeedPage(Schema):
    """Events in publication order, and the position of the next page."""

    events = ListOf(FeedEvent, "Events.")
    next = Integer("Value for `after` in the next request.", example=214)
    has_more = Flag("True if more events are available now.", example=False)
