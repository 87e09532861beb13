"""Heartbeats of web processes and worker tasks."""

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from config import VERSION
from database_errors import CONNECTION_ERRORS
from models.base import Model, TimestampField, clock, db
from models.database import connection
from rules.client_versions import is_older

INTERVAL = timedelta(seconds=30)
# A worker without a heartbeat for longer counts as stopped. Cron can start `flask worker --once` hourly.
MAX_SILENCE = timedelta(minutes=3)
MAX_CRON_SILENCE = timedelta(hours=1)
# After an outage, one run of a task can take minutes.
MAX_TASK_SILENCE = timedelta(minutes=10)
RETENTION = timedelta(days=1)
# The task of a web process.
WEB = "web"


class Heartbeat(Model):
    """The latest run of a task in a process, updated at most every INTERVAL.

    `is_continuous` is false for `flask worker --once`; all its runs on a machine share the same rows.
    """

    personal_data = None
    process = peewee.TextField()
    version = peewee.TextField()
    task = peewee.TextField()
    is_continuous = peewee.BooleanField()
    beat_at = TimestampField()

    class Meta:
        indexes = ((("process", "task"), True),)

    @classmethod
    def record(cls, process: str, task: str, is_continuous: bool) -> None:
        columns: dict[str, Any] = {"version": VERSION, "is_continuous": is_continuous, "beat_at": clock.now()}
        insert = cls.insert(process=process, task=task, **columns)
        insert.on_conflict(conflict_target=[cls.process, cls.task], update=columns).execute()

    @classmethod
    def delete_expired(cls) -> int:
        """Delete rows of processes without a heartbeat for RETENTION. Returns how many."""
        alive = cls.select(cls.process).where(cls.beat_at >= clock.now() - RETENTION)
        return cls.delete().where(cls.process.not_in(alive)).execute()

    def is_alive(self, now: datetime) -> bool:
        return now - self.beat_at < (MAX_SILENCE if self.is_continuous else MAX_CRON_SILENCE)


class HeartbeatRecorder:
    """Records the heartbeats of this process."""

    def __init__(self, is_continuous: bool):
        self._process = _process() if is_continuous else f"{socket.gethostname()}:once"
        self._is_continuous = is_continuous
        self._beats: dict[str, datetime] = {}

    def record(self, task: str) -> None:
        """Record a run of the task, unless one was recorded within INTERVAL."""
        now, latest = clock.now(), self._beats.get(task)
        if latest is None or abs(now - latest) >= INTERVAL:
            Heartbeat.record(self._process, task, self._is_continuous)
            self._beats[task] = now


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def record_web_process() -> None:
    """Record this web process's heartbeats in a thread."""
    recorder = HeartbeatRecorder(is_continuous=True)

    def record() -> None:
        while True:
            with suppress(peewee.PeeweeException, *CONNECTION_ERRORS):
                recorder.record(WEB)
            db.close()
            time.sleep(INTERVAL.total_seconds())

    threading.Thread(target=record, daemon=True).start()


def delete_web_process() -> None:
    """Delete this process's heartbeat when it stops."""
    with suppress(peewee.PeeweeException, *CONNECTION_ERRORS), connection():
        Heartbeat.delete().where(Heartbeat.process == _process()).execute()


def web_processes() -> int:
    """Count the running web processes. A killed one counts for up to a minute."""
    is_running = Heartbeat.beat_at > clock.now() - 2 * INTERVAL
    return Heartbeat.select().where(Heartbeat.task == WEB, is_running).count()


def processes_before(version: str) -> list[str]:
    """Describe the running processes of earlier versions."""
    rows = _select_running(Heartbeat.process, Heartbeat.version)
    return sorted(f"{process} ({running})" for process, running in rows if is_older(running, version))


def running_versions() -> set[tuple[str, str]]:
    """Return the kind, `web` or `worker`, and version of the running processes."""
    kind = peewee.Case(None, ((Heartbeat.task == WEB, WEB),), "worker")
    return set(_select_running(kind, Heartbeat.version))


def _select_running(*columns: Any) -> Any:
    is_running = Heartbeat.beat_at > clock.now() - MAX_SILENCE
    return Heartbeat.select(*columns).where(is_running).distinct().tuples()


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
    tasks = Heartbeat.select().where(Heartbeat.task != WEB)
    rows, now = list(tasks.order_by(Heartbeat.beat_at)), clock.now()
    running = {row.process for row in rows if row.is_alive(now)}
    alive = [row for row in rows if row.process in running]
    latest = {row.task: row.beat_at for row in alive}
    continuous = {row.task: row.beat_at for row in alive if row.is_continuous}
    stalled = sorted(task for task, beat_at in continuous.items() if now - beat_at >= MAX_TASK_SILENCE)
    beat_at = rows[-1].beat_at if rows else None
    return Workers(len(running), latest, stalled, beat_at, any(row.is_continuous for row in rows))
