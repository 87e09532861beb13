"""Heartbeats of worker tasks."""

import os
import socket
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from models.base import Model, TimestampField, clock

INTERVAL = timedelta(seconds=30)
# A worker without a heartbeat for longer counts as stopped. Cron can start `flask worker --once` hourly.
MAX_SILENCE = timedelta(minutes=3)
MAX_CRON_SILENCE = timedelta(hours=1)
# After an outage, one run of a task can take minutes.
MAX_TASK_SILENCE = timedelta(minutes=10)
RETENTION = timedelta(days=1)


class Heartbeat(Model):
    """The latest run of a task in a worker, updated at most every INTERVAL.

    `is_continuous` is false for `flask worker --once`; all its runs on a machine share the same rows.
    """

    personal_data = None
    worker = peewee.TextField()
    task = peewee.TextField()
    is_continuous = peewee.BooleanField()
    beat_at = TimestampField()

    class Meta:
        indexes = ((("worker", "task"), True),)

    @classmethod
    def record(cls, worker: str, task: str, is_continuous: bool) -> None:
        columns: dict[str, Any] = {"is_continuous": is_continuous, "beat_at": clock.now()}
        insert = cls.insert(worker=worker, task=task, **columns)
        insert.on_conflict(conflict_target=[cls.worker, cls.task], update=columns).execute()

    @classmethod
    def delete_expired(cls) -> int:
        """Delete rows of workers without a heartbeat for RETENTION. Returns how many."""
        alive = cls.select(cls.worker).where(cls.beat_at >= clock.now() - RETENTION)
        return cls.delete().where(cls.worker.not_in(alive)).execute()

    def is_alive(self, now: datetime) -> bool:
        return now - self.beat_at < (MAX_SILENCE if self.is_continuous else MAX_CRON_SILENCE)


class HeartbeatRecorder:
    """Records the heartbeats of this process."""

    def __init__(self, is_continuous: bool):
        self._worker = f"{socket.gethostname()}:{os.getpid() if is_continuous else 'once'}"
        self._is_continuous = is_continuous
        self._beats: dict[str, datetime] = {}

    def record(self, task: str) -> None:
        """Record a run of the task, unless one was recorded within INTERVAL."""
        now, latest = clock.now(), self._beats.get(task)
        if latest is None or abs(now - latest) >= INTERVAL:
            Heartbeat.record(self._worker, task, self._is_continuous)
            self._beats[task] = now


class Workers(NamedTuple):
    """The installation's workers, by their heartbeats.

    running -- number of running workers
    latest -- latest run of each task in a running worker
    stalled -- tasks that have not run for MAX_TASK_SILENCE although a worker is running
    beat_at -- the latest heartbeat of any worker
    is_expected -- whether a continuous worker was started and should still be running
    """

    running: int
    latest: dict[str, datetime]
    stalled: list[str]
    beat_at: datetime | None
    is_expected: bool


def workers() -> Workers:
    rows, now = list(Heartbeat.select().order_by(Heartbeat.beat_at)), clock.now()
    running = {row.worker for row in rows if row.is_alive(now)}
    alive = [row for row in rows if row.worker in running]
    latest = {row.task: row.beat_at for row in alive}
    continuous = {row.task: row.beat_at for row in alive if row.is_continuous}
    stalled = sorted(task for task, beat_at in continuous.items() if now - beat_at >= MAX_TASK_SILENCE)
    beat_at = rows[-1].beat_at if rows else None
    return Workers(len(running), latest, stalled, beat_at, any(row.is_continuous for row in rows))
