"""Leases: a claimed message belongs to one worker until the lease expires."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from models.base import clock, is_postgres
from rules.retries import RETRY_DELAYS

# Longer than the slowest attempt, so that no other worker claims a message that is being sent.
LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1


class Leased:
    """For tables of messages with the columns `state`, `attempts` and `due_at`.

    A message is waiting while its state is `queued`. `attempts` counts claims, so an attempt that kills its worker
    counts too.
    """

    @classmethod
    def claim_conditions(cls, now: datetime) -> list[peewee.Expression]:
        """Conditions that a due message must meet before it can be claimed."""
        return []

    @classmethod
    def is_new(cls: Any) -> peewee.Expression:
        """Messages that were due when they were queued and have not been attempted."""
        return cls.attempts == 0

    @classmethod
    def claim(cls: Any) -> Any:
        """Claim one due message for the length of a lease, or return None.

        If the worker dies, the message becomes due again when the lease expires.
        """
        now = clock.now()
        due = cls.select(cls.id).where(cls.state == "queued", cls.due_at <= now, *cls.claim_conditions(now))
        due = due.order_by(cls.due_at, cls.id).limit(1)
        if is_postgres():
            due = due.for_update(skip_locked=True)
        # `==` instead of `in`: PostgreSQL may run an `in` subquery once a row, and claim another message each time.
        claimed = cls.update(attempts=cls.attempts + 1, due_at=now + LEASE).where(cls.id == due)
        return next(iter(claimed.returning(cls).execute()), None)

    @classmethod
    def bring_forward(cls: Any) -> None:
        """Make new messages due now and all others within one lease, after the clock was set back.

        A message that another worker has claimed stays with it for at least the rest of its lease.
        """
        now = clock.now()
        waiting = cls.state == "queued"
        cls.update(due_at=now).where(waiting, cls.is_new(), cls.due_at > now).execute()
        cls.update(due_at=now + LEASE).where(waiting, cls.attempts > 0, cls.due_at > now + LEASE).execute()

    @property
    def attempts_exhausted(self: Any) -> bool:
        """True if all attempts were claimed before and ended without a result."""
        return self.attempts > MAX_ATTEMPTS

    def release(self: Any) -> None:
        """Make a claimed message due now, for another worker. It may have been delivered already."""
        type(self).update(due_at=clock.now()).where(self.is_current_claim()).execute()

    def is_current_claim(self: Any) -> peewee.Expression:
        """The row, unless it was claimed again: only the latest claim may record a result."""
        table: Any = type(self)
        return (table.id == self.id) & (table.state == "queued") & (table.attempts == self.attempts)
