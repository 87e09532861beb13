"""The feed of events, out."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.event_types import EVENT_TYPES
from schemas import (
    EXAMPLE_ID,
    LIMIT_DEFAULT,
    OFFSET_MOST,
    Filter,
    Id,
    Limit,
    QueryNumber,
    Schema,
    Timestamp,
    described,
)


class TypeList(fields.String):
    """Event types with commas between them."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        types = super()._deserialize(value, attr, data, **kwargs).split(",")
        if not set(types) <= set(EVENT_TYPES):
            raise ma.ValidationError(
                f"Must be types of events with commas between them: {', '.join(EVENT_TYPES)}."
            )
        return types


class FeedQuery(Filter):
    """From where on, which, and how many."""

    after = QueryNumber(
        validate=validate.Range(min=0, max=OFFSET_MOST),
        metadata=described("The `next` of the last answer; left out, the feed begins with the oldest event."),
    )
    types = TypeList(metadata=described("Only these types, with commas between them."))
    limit = Limit(
        load_default=LIMIT_DEFAULT,
        metadata=described("Maximum number of events; clamped to 1 to 200."),
    )


class FeedEvent(Schema):
    """What happened, with ids and states; the same as a webhook is told."""

    id = Id(metadata=described("Its id, which is the `webhook-id` of a webhook's request."))
    type = fields.String(
        metadata=described(
            " ".join(f"`{name}`: {meaning}" for name, meaning in EVENT_TYPES.items()),
            "session.completed",
            enum=list(EVENT_TYPES),
        )
    )
    timestamp = Timestamp(attribute="created_at", metadata=described("When it happened."))
    data = fields.Dict(
        keys=fields.String(),
        metadata=described(
            "Ids and states: whose, and what is so now.", {"sessionId": EXAMPLE_ID, "status": "completed"}
        ),
    )


class FeedPage(Schema):
    """Events, oldest first, and the place to go on from."""

    events = fields.List(fields.Nested(FeedEvent), metadata=described("The events."))
    next = fields.Integer(metadata=described("What to send as `after` next time, now or later.", 214))
    has_more = fields.Boolean(metadata=described("Whether to ask again at once.", False))
