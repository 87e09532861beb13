"""What happened, for the outside: written in the transaction of the work, numbered by the worker after its commit."""

from datetime import timedelta
from typing import Any

import peewee

from errors import CursorExpired, invalid
from models.base import Model, Query, clock, locked
from models.orgs import Organization, Reviewer

KEPT = timedelta(days=30)
ROWS_AT_A_TIME = 200


class Occurrence(Model):
    """One event of an organization, with ids and states only: whose names they are is asked for with a credential.

    `position` is its place in the organization's feed. It cannot be given out before the commit: a writer with an
    earlier number could commit after a reader has gone past it.
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
    def tell(cls, organization_id: Any, kind: str, *told: dict[str, Any]) -> None:
        """Write one event of a kind for each of `told`, in the caller's transaction."""
        rows = [{"organization": organization_id, "type": kind, "data": _plain(data)} for data in told]
        if rows:
            cls.insert_many(rows).execute()

    @classmethod
    def waiting(cls) -> Query:
        return cls.select().where(cls.position.is_null())

    @classmethod
    def visible_to(cls, caller: Reviewer) -> Query:
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


Occurrence.add_index(
    Occurrence.index(Occurrence.id, where=Occurrence.position.is_null(), name="occurrences_not_numbered")
)


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Ids as texts."""
    return {
        name: value if isinstance(value, int | str | None) else str(value) for name, value in data.items()
    }


class Feed(Model):
    """How far the numbers of an organization's events go; the row is the lock under which they are given out."""

    organization = peewee.ForeignKeyField(Organization, unique=True)
    position = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "feeds"

    @classmethod
    def number_some(cls, organization_id: Any) -> list[Occurrence]:
        """Number the next events that wait, inside of a transaction; all of them show in the feed at its commit.

        Only the holder of the feed's row numbers, so that who sees a number sees all smaller ones too.
        """
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        feed = locked(cls.select().where(cls.organization == organization_id)).get()
        waiting = Occurrence.waiting().where(Occurrence.organization == organization_id)
        fresh = list(waiting.order_by(Occurrence.id).limit(ROWS_AT_A_TIME))
        for position, occurrence in enumerate(fresh, feed.position + 1):
            occurrence.position = position
            Occurrence.update(position=position).where(Occurrence.id == occurrence.id).execute()
        cls.update(position=feed.position + len(fresh)).where(cls.id == feed.id).execute()
        return fresh


def read_feed(caller: Reviewer, after: int | None, types: list[str] | None, limit: int) -> dict[str, Any]:
    """Events after a position, oldest first: `events`, `next` (the position to go on from) and `has_more`.

    Without a position it begins with the oldest that is kept. Raises CursorExpired where events after the position
    are gone, and Invalid for one that the feed has not reached.
    """
    # Read before the rows: what is numbered in between is left for the next call, and never skipped.
    last = Feed.select(Feed.position).where(Feed.organization == caller.organization).scalar() or 0
    after = _start(caller, after, last)
    rows = Occurrence.visible_to(caller).where(Occurrence.position > after, Occurrence.position <= last)
    if types:
        rows = rows.where(Occurrence.type.in_(types))
    events = list(rows.order_by(Occurrence.position).limit(limit))
    is_full = len(events) == limit
    return {"events": events, "next": events[-1].position if is_full else last, "has_more": is_full}


def _start(caller: Reviewer, after: int | None, last: int) -> int:
    kept: Any = Occurrence.visible_to(caller).select(peewee.fn.MIN(Occurrence.position))
    before_kept = (kept.scalar() or last + 1) - 1
    if after is None:
        return before_kept
    if after > last:
        raise invalid("after", "This is no cursor of this feed.")
    if after < before_kept:
        raise CursorExpired()
    return after
