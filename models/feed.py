"""What happened, for the outside: written in the transaction of the work, numbered by the worker after its commit."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import peewee

from errors import CursorExpired, invalid
from models.base import Model, Query, clock, insert_rows, locked, new_id
from models.orgs import ApiToken, Organization

KEPT = timedelta(days=30)
ROWS_AT_A_TIME = 200


class FeedEvent(Model):
    """One event of an organization, with ids and states only: whose names they are is asked for with a credential.

    `position` is its place in the organization's feed. It cannot be given out before the commit: a writer with an
    earlier number could commit after a reader has gone past it. Until then a row may stand for many events of one
    kind, `data` being the list of theirs.
    """

    organization_id: Any
    organization = peewee.ForeignKeyField(Organization, index=False)
    type = peewee.TextField()
    data = peewee.JSONField()
    position = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "occurrences"
        indexes = ((("organization", "position"), True),)

    @classmethod
    def publish(cls, organization_id: Any, kind: str, *told: dict[str, Any]) -> None:
        """Write one event of a kind for each of `told`, in the caller's transaction: one row, however many they are.

        The worker takes them apart. For 50 keys that is 0.2 ms instead of 3 while the caller waits.
        """
        if told:
            row = {"organization": organization_id, "type": kind, "data": told if len(told) > 1 else told[0]}
            insert_rows(cls, [row])

    @classmethod
    def waiting(cls) -> Query:
        return cls.select().where(cls.position.is_null())

    @property
    def told(self) -> list[dict[str, Any]]:
        """The data of each event that a waiting row stands for."""
        return self.data if isinstance(self.data, list) else [self.data]

    def number(self, position: int) -> list["FeedEvent"]:
        """Give the row its number, and rows with the following ones to the other events that it stands for."""
        (self.data, *others), self.position = self.told, position
        numbered = {"position": position} | ({"data": self.data} if others else {})
        FeedEvent.update(numbered).where(FeedEvent.id == self.id).execute()
        same = {"organization": self.organization_id, "type": self.type, "created_at": self.created_at}
        rows = [
            {"id": new_id(), "data": data, "position": following}
            for following, data in enumerate(others, position + 1)
        ]
        insert_rows(FeedEvent, rows, **same)
        return [self, *(FeedEvent(**same, **row) for row in rows)]

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        """What is in the feed."""
        return cls.select().where(cls.organization == caller.organization_id, cls.position.is_null(False))

    @classmethod
    def forget_old(cls) -> int:
        """Let go of what was kept long enough; returns how many."""
        old = cls.position.is_null(False) & (cls.created_at < clock.now() - KEPT)
        return cls.delete().where(old).execute()

    @property
    def candidate_id(self) -> Any:
        return self.data.get("candidateId")


FeedEvent.add_index(
    FeedEvent.index(FeedEvent.id, where=FeedEvent.position.is_null(), name="occurrences_not_numbered")
)


class Feed(Model):
    """How far the numbers of an organization's events go; the row is the lock under which they are given out."""

    organization = peewee.ForeignKeyField(Organization, unique=True)
    position = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "feeds"

    @classmethod
    def number_some(cls, organization_id: Any) -> list[FeedEvent]:
        """Number the next events that wait, inside of a transaction; all of them show in the feed at its commit.

        Only the holder of the feed's row numbers, so that who sees a number sees all smaller ones too.
        """
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        feed = locked(cls.select().where(cls.organization == organization_id)).get()
        fresh: list[FeedEvent] = []
        for row in _some_waiting(organization_id):
            fresh += row.number(feed.position + len(fresh) + 1)
        cls.update(position=feed.position + len(fresh)).where(cls.id == feed.id).execute()
        return fresh


def _some_waiting(organization_id: Any) -> Iterator[FeedEvent]:
    """The next rows that wait, until they stand for enough events."""
    rows = FeedEvent.waiting().where(FeedEvent.organization == organization_id)
    count = 0
    for row in list(rows.order_by(FeedEvent.id).limit(ROWS_AT_A_TIME)):
        if count < ROWS_AT_A_TIME:
            yield row
            count += len(row.told)


def read_feed(caller: ApiToken, after: int | None, types: list[str] | None, limit: int) -> dict[str, Any]:
    """Events after a position, oldest first: `events`, `next` (the position to go on from) and `has_more`.

    Without a position it begins with the oldest that is kept. Raises CursorExpired where events after the position
    are gone, and Invalid for one that the feed has not reached.
    """
    # Read before the rows: what is numbered in between is left for the next call, and never skipped.
    last = Feed.select(Feed.position).where(Feed.organization == caller.organization).scalar() or 0
    after = _start(caller, after, last)
    rows = FeedEvent.visible_to(caller).where(FeedEvent.position > after, FeedEvent.position <= last)
    if types:
        rows = rows.where(FeedEvent.type.in_(types))
    events = list(rows.order_by(FeedEvent.position).limit(limit))
    is_full = len(events) == limit
    return {"events": events, "next": events[-1].position if is_full else last, "has_more": is_full}


def _start(caller: ApiToken, after: int | None, last: int) -> int:
    kept: Any = FeedEvent.visible_to(caller).select(peewee.fn.MIN(FeedEvent.position))
    before_kept = (kept.scalar() or last + 1) - 1
    if after is None:
        return before_kept
    if after > last:
        raise invalid("after", "This is no cursor of this feed.")
    if after < before_kept:
        raise CursorExpired()
    return after
