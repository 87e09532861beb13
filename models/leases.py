"""What the tables of messages have in common: a worker has a message alone, for the length of a lease."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from models.base import clock, is_postgres
from rules.deliveries import PAUSES

# Longer than the longest try: a worker that is still at it has not lost its message.
LEASE = timedelta(minutes=5)
MOST_ATTEMPTS = len(PAUSES) + 1


class Leased:
    """For tables of which each row is a message with `state`, `attempts` and `due_at`.

    It waits while its state is `queued`; `attempts` counts the claims, so that one that kills its worker counts too.
    """

    id: Any
    state: Any
    attempts: Any
    due_at: Any

    @classmethod
    def free(cls, now: datetime) -> list[peewee.Expression]:
        """What a due message has to fulfil besides."""
        return []

    @classmethod
    def claim(cls: Any) -> Any:
        """Take one due message, so that no other worker has it for the length of the lease; or None.

        A worker that dies with it loses nothing: the message is due again when the lease is over.
        """
        now = clock.now()
        due = cls.select(cls.id).where(cls.state == "queued", cls.due_at <= now, *cls.free(now))
        due = due.order_by(cls.due_at, cls.id).limit(1)
        if is_postgres():
            due = due.for_update(skip_locked=True)
        # Equal to it, not `in`: a join would ask for it once a row, and each time get the next one that is free.
        claimed = cls.update(attempts=cls.attempts + 1, due_at=now + LEASE).where(cls.id == due)
        return next(iter(claimed.returning(cls).execute()), None)

    @property
    def is_worn_out(self) -> bool:
        """Whether it was claimed too often: its attempts end before they can say how, perhaps with their worker."""
        return self.attempts > MOST_ATTEMPTS

    def give_back(self: Any) -> None:
        """Let another worker have it at once: this one stops, and does not know whether it arrived."""
        type(self).update(due_at=clock.now()).where(self.is_mine()).execute()

    def is_mine(self) -> peewee.Expression:
        """Only the holder of the latest claim decides; a worker whose lease ran out comes too late."""
        table: Any = type(self)
        return (table.id == self.id) & (table.state == "queued") & (table.attempts == self.attempts)
