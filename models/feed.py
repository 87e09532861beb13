"""The organization's event feed. Events are published in the caller's transaction; the worker numbers them."""

from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

import peewee

from errors import CursorExpired, invalid
from models import sql
from models.base import Model, Query, clock, new_id
from models.numbering import Sequence, require_changes
from models.orgs import ApiToken, Organization
from rules.rows import row_id

RETENTION = timedelta(days=30)
BATCH_SIZE = 200

# The `traceparent` header of the request that publishes events, for their webhooks.
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


class FeedEvent(Model):
    """An organization's event, with ids and states but no names.

    `position` is its cursor in the feed, None until the worker has numbered it. Until then, a row can contain several
    events of one type: `data` is a list of their payloads.
    """

    personal_data = None  # only ids and states

    # The candidate's `externalId`. Not stored, because it can change or be erased.
    external_id: str | None = None
    organization = peewee.ForeignKeyField(Organization, index=False)
    type = peewee.TextField()
    data = peewee.JSONField()
    traceparent = peewee.TextField(null=True)
    position = peewee.BigIntegerField(null=True)

    class Meta:
        indexes = ((("organization", "position"), True),)

    @classmethod
    def publish(cls, organization_id: Any, type: str, *payloads: dict[str, Any]) -> None:
        """Publish an event for each payload, in the caller's transaction."""
        if payloads:
            data = list(payloads) if len(payloads) > 1 else payloads[0]
            columns = {"organization_id": organization_id, "type": type, "traceparent": traceparent.get()}
            sql.insert(cls, [columns | {"data": data}])

    @classmethod
    def unnumbered(cls) -> Query:
        return cls.select().where(cls.position.is_null())

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The payloads of an unnumbered row."""
        return self.data if isinstance(self.data, list) else [self.data]

    def assign_positions(self, position: int) -> list["FeedEvent"]:
        """Assign positions, and split the row into one row per payload. Returns the rows."""
        (self.data, *others), self.position = self.payloads, position
        require_changes(FeedEvent, self.save(only=[FeedEvent.data, FeedEvent.position]))
        names = ("organization", "type", "traceparent", "created_at")
        shared = {name: self.__data__[name] for name in names}
        rows = [
            FeedEvent(id=new_id(), data=data, position=number, **shared)
            for number, data in enumerate(others, position + 1)
        ]
        FeedEvent.bulk_create(rows)
        return [self, *rows]

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id, cls.position.is_null(False))

    @classmethod
    def delete_expired(cls) -> int:
        expired = cls.position.is_null(False) & (cls.created_at < clock.now() - RETENTION)
        return cls.delete().where(expired).execute()

    @property
    def candidate_id(self) -> Any:
        return self.data.get("candidateId")

    @property
    def public_data(self) -> dict[str, Any]:
        """The payload, with `externalId` for an event about a candidate."""
        return self.data | {"externalId": self.external_id} if self.candidate_id else self.data


class Feed(Sequence):
    """The last position of an organization's feed."""

    personal_data = None
    position = peewee.BigIntegerField(default=0)

    @classmethod
    def number_batch(cls, organization_id: Any) -> list[FeedEvent]:
        """Assign positions to the next events in the caller's transaction. Returns the events."""
        feed = cls.locked_for(organization_id)
        events: list[FeedEvent] = []
        rows = FeedEvent.unnumbered().where(FeedEvent.organization == organization_id)
        for row in list(rows.order_by(FeedEvent.id).limit(BATCH_SIZE)):
            if len(events) < BATCH_SIZE:
                events += row.assign_positions(feed.position + len(events) + 1)
        require_changes(Feed, feed.update_columns(position=feed.position + len(events)))
        return events


def read_feed(
    caller: ApiToken, after: int | None, types: list[str] | None, limit: int, starts_now: bool = False
) -> dict[str, Any]:
    """Return a page of the feed: `events`, `next` (the cursor after them) and `has_more`.

    Without a cursor the page starts at the oldest stored event, or with `starts_now` after the latest event. Raises
    CursorExpired if events after the cursor have been deleted, and Invalid for a cursor beyond the latest event.
    """
    # Read before the rows: events that get a position later belong to the next page.
    last = Feed.select(Feed.position).where(Feed.organization == caller.organization).scalar() or 0
    after = last if after is None and starts_now else _start(caller, after, last)
    rows = FeedEvent.visible_to(caller).where(FeedEvent.position > after, FeedEvent.position <= last)
    if types:
        rows = rows.where(FeedEvent.type.in_(types))
    found = list(rows.order_by(FeedEvent.position).limit(limit + 1))
    events, has_more = found[:limit], len(found) > limit
    _set_external_ids(events)
    return {"events": events, "next": events[-1].position if has_more else last, "has_more": has_more}


def _set_external_ids(events: list[FeedEvent]) -> None:
    ids = sorted({event.candidate_id for event in events} - {None})
    if ids:
        text = sql.EXTERNAL_IDS.format(ids=sql.any_of("ids", "uuid"))
        rows = sql.rows(text, ids=tuple(UUID(candidate_id) for candidate_id in ids))
        external_ids = {str(row_id(key)): external_id for key, external_id in rows}
        for event in events:
            event.external_id = external_ids.get(event.candidate_id)


def _start(caller: ApiToken, after: int | None, last: int) -> int:
    oldest: Any = FeedEvent.visible_to(caller).select(peewee.fn.MIN(FeedEvent.position))
    before_oldest = (oldest.scalar() or last + 1) - 1
    if after is None:
        return before_oldest
    if after > last:
        raise invalid("after", "Must be a cursor from this feed.")
    if after < before_oldest:
        raise CursorExpired()
    return after
