"""Heartbeats of web processes and workers."""

from datetime import timedelta

from statements import capture_queries

from delivery.worker import Worker, housekeeping
from models import Heartbeat
from models.heartbeats import INTERVAL, MAX_SILENCE, WEB, HeartbeatRecorder, processes_before, workers


def test_heartbeats_are_written_at_most_every_30_seconds(clock):
    heartbeats = HeartbeatRecorder(is_continuous=True)
    heartbeats.record("emails")
    clock.fixed += INTERVAL - timedelta(milliseconds=1)
    with capture_queries() as statements:
        heartbeats.record("emails")
    assert statements == []
    clock.fixed += timedelta(milliseconds=1)
    heartbeats.record("emails")
    assert [row.beat_at for row in Heartbeat.select()] == [clock.now()]
    clock.fixed -= timedelta(hours=1)  # the clock was set back
    heartbeats.record("emails")
    assert workers().beat_at == clock.now()


def test_rows_of_dead_workers_are_deleted_after_a_day(clock, app):
    Heartbeat.record("dead:1", "emails", True)
    clock.fixed += timedelta(hours=23)
    Heartbeat.record("dead:1", "ledger", True)
    Heartbeat.record("alive:1", "emails", True)
    clock.fixed += timedelta(hours=24, milliseconds=1)
    Heartbeat.record("alive:1", "ledger", True)
    assert Heartbeat.delete_expired() == 2
    assert {row.process for row in Heartbeat.select()} == {"alive:1"}


def test_running_processes_of_earlier_versions_are_listed(clock):
    HeartbeatRecorder(is_continuous=True).record(WEB)
    Heartbeat.update(process="web:1", version="1.9.0").execute()
    Heartbeat.record("web:2", WEB, True)
    for task in ("emails", "webhooks"):
        Heartbeat.record("worker:1", task, True)
    Heartbeat.update(version="1.10.0").where(Heartbeat.process != "web:1").execute()
    assert processes_before("1.9.0") == []
    assert processes_before("1.10.0") == ["web:1 (1.9.0)"]
    assert processes_before("2.0.0") == ["web:1 (1.9.0)", "web:2 (1.10.0)", "worker:1 (1.10.0)"]
    clock.fixed += MAX_SILENCE
    assert processes_before("2.0.0") == []


def test_a_web_process_is_not_a_worker(clock):
    HeartbeatRecorder(is_continuous=True).record(WEB)
    assert (workers().running, workers().beat_at) == (0, None)


def test_each_task_has_a_heartbeat(clock, app):
    worker = Worker(app.config)
    worker.run_once()
    tasks = {name for name, _ in (*housekeeping.TASKS, *housekeeping.CHECKS, *housekeeping.MINUTE_TASKS)}
    assert {row.task for row in Heartbeat.select()} == tasks | {"erased_pages", "emails", "daily"}
    worker.post_webhooks()
    assert Heartbeat.select().where(Heartbeat.task == "webhooks").count() == 1
