"""Leases: a claimed message belongs to one worker until the lease expires."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import peewee

from models import sql
from models.base import clock, is_postgres
from rules.delivery.retries import RETRY_DELAYS
from rules.rows import row_id

# Longer than the slowest attempt, so no other worker claims a message that is being sent.
LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1


class Lane(NamedTuple):
    """An organization's emails, or a webhook's messages, claimed by due time."""

    organization_id: Any
    id: Any
    due_at: Any


class RoundRobin:
    """Schedules a worker's senders fairly across organizations and their lanes.

    An organization never uses all senders, so its slow receivers do not delay other organizations' messages.
    """

    def __init__(self, senders: int = 1):
        self._max_in_progress = max(1, senders - 1)
        self._in_progress: list[Lane] = []
        # Number of the latest claim, by organization and lane.
        self._served: dict[Any, int] = {}
        self._numbers = count(1)

    def order(self, lanes: list[Lane]) -> list[Lane]:
        """Return the available lanes: fewest messages in progress first, then least recently served."""
        in_progress = Counter(lane.organization_id for lane in tuple(self._in_progress))

        def rank(lane: Lane) -> tuple:
            served = self._served.get(lane.organization_id, 0), self._served.get(lane.id, 0)
            return (in_progress[lane.organization_id], *served, lane.due_at)

        allowed = [lane for lane in lanes if in_progress[lane.organization_id] < self._max_in_progress]
        return sorted(allowed, key=rank)

    def start(self, lane: Lane) -> None:
        number = next(self._numbers)
        self._served |= {lane.organization_id: number, lane.id: number}
        self._in_progress.append(lane)

    def finish(self, lane: Lane) -> None:
        self._in_progress.remove(lane)


class Leased:
    """For tables of messages with the columns `state`, `attempts` and `due_at`.

    A message is waiting while its state is `queued`. `attempts` counts claims, even if the worker crashed.
    """

    # A statement that selects the lanes with a due message, and the column with the lane's id.
    due_lanes: str
    lane_column: str
    # The lane from which this instance was claimed.
    lane: Lane

    @classmethod
    def claim(cls: Any, round_robin: RoundRobin | None = None) -> Any:
        """Claim a due message for the length of a lease; returns None if no message is due.

        If the worker dies, the message becomes due again when the lease expires.

        round_robin -- orders the lanes; defaults to the earliest due time first
        """
        now = clock.now()
        rows = sql.rows(cls.due_lanes, now=now)
        lanes = [Lane(row_id(organization), row_id(lane), due_at) for organization, lane, due_at in rows]
        for lane in (round_robin or RoundRobin()).order(lanes):
            if message := cls._claim_from(lane, now):
                message.lane = lane
                return message
        return None

    @classmethod
    def _claim_from(cls: Any, lane: Lane, now: datetime) -> Any:
        is_in_lane = getattr(cls, cls.lane_column) == lane.id
        due = cls.select(cls.id).where(is_in_lane, cls.state == "queued", cls.due_at <= now)
        due = due.order_by(cls.due_at, cls.id).limit(1)
        if is_postgres():
            due = due.for_update(skip_locked=True)
        # `==`, because PostgreSQL can run an `in` subquery for each row and then claims several messages.
        claimed = cls.update(attempts=cls.attempts + 1, due_at=now + LEASE).where(cls.id == due)
        return next(iter(claimed.returning(cls).execute()), None)

    @property
    def attempts_exhausted(self: Any) -> bool:
        """True if every attempt was interrupted before it recorded a result."""
        return self.attempts > MAX_ATTEMPTS

    def release(self: Any) -> None:
        """Make a claimed message due now. It could have been delivered already."""
        type(self).update(due_at=clock.now()).where(self.is_current_claim()).execute()

    def is_current_claim(self: Any) -> peewee.Expression:
        """Build the condition for updates by the claimer: the row, unless it was claimed again."""
        table: Any = type(self)
        return (table.id == self.id) & (table.state == "queued") & (table.attempts == self.attempts)
