"""Health and readiness."""

import errno
import tempfile
from datetime import timedelta

import factories
import pytest
from bundle_stores import bundle_files, use_folder
from response_checks import error_paths
from statements import capture_queries

from models import db
from models.heartbeats import HeartbeatRecorder
from ops import readiness

READY = {"database": "ok", "migrations": "ok", "storage": "ok"}


@pytest.fixture
def get_ready(anonymous, monkeypatch):
    """A function that requests `/v1/ready` without caching."""
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 0)
    return lambda: anonymous.get("/v1/ready")


@pytest.fixture
def bundles(app, tmp_path, monkeypatch):
    """The application's bundle folder."""
    return use_folder(app, tmp_path / "bundles", monkeypatch).folder


def test_the_service_is_ready_and_the_check_leaves_no_files(get_ready, bundles):
    response = get_ready()
    assert (response.status_code, response.json) == (200, {"status": "ready", "parts": READY})
    assert bundle_files(bundles) == []


def test_the_service_is_not_ready_without_all_migrations(get_ready):
    db.execute_sql("DELETE FROM migrations")
    response = get_ready()
    assert (response.status_code, response.json["code"]) == (503, "not_ready")
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["parts"] == READY | {"migrations": "behind"}


def test_the_service_is_not_ready_without_its_store(get_ready, bundles):
    bundles.rename(bundles.with_name("moved"))
    response = get_ready()
    assert response.status_code == 503
    assert response.json["parts"] == READY | {"storage": "unavailable"}
    assert str(bundles.parent) not in response.text
    assert not bundles.exists()


def test_the_service_is_not_ready_without_a_writable_store(get_ready, bundles, monkeypatch):
    def fail(**options):
        raise PermissionError(errno.EACCES, f"Permission denied: {bundles}")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    response = get_ready()
    assert response.status_code == 503
    assert response.json["parts"] == READY | {"storage": "not_writable"}
    assert str(bundles.parent) not in response.text


def test_readiness_is_checked_at_most_once_per_second(app, anonymous, monkeypatch):
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 60)  # The requests can take longer than a second.
    checks, checker = [], readiness.Readiness(app.extensions["storage"])
    monkeypatch.setitem(app.extensions, "readiness", checker)
    monkeypatch.setattr(checker, "_check_components", lambda deep: checks.append(1) or READY)
    assert {anonymous.get("/v1/ready").status_code for _ in range(20)} == {200}
    assert len(checks) == 1


@pytest.fixture
def worker_state(get_ready, anonymous):
    """A function that requests `/v1/ready?deep=1` and returns the status code and the worker's state."""

    def read():
        response = anonymous.get("/v1/ready", deep=1)
        assert get_ready().json == {"status": "ready", "parts": READY}
        assert response.json["parts"].items() >= READY.items()
        return response.status_code, response.json["parts"]["worker"]

    return read


def test_a_worker_is_required_once_work_is_queued(clock, organization, worker_state):
    assert worker_state() == (200, "ok")
    factories.make_assessment(organization)
    clock.fixed += timedelta(minutes=2, seconds=59)
    assert worker_state() == (200, "ok")
    clock.fixed += timedelta(seconds=1)
    assert worker_state() == (503, "not_running")


def test_a_worker_is_not_running_after_three_minutes_without_a_heartbeat(clock, worker_state):
    HeartbeatRecorder(is_continuous=True).record("emails")
    clock.fixed += timedelta(minutes=2, seconds=59)
    assert worker_state() == (200, "ok")
    clock.fixed += timedelta(seconds=1)
    assert worker_state() == (503, "not_running")


def test_a_worker_run_by_cron_must_run_every_hour(worker, clock, organization, worker_state):
    worker.run_once()
    factories.make_assessment(organization)
    clock.fixed += timedelta(minutes=59)
    assert worker_state() == (200, "ok")
    clock.fixed += timedelta(minutes=1)
    assert worker_state() == (503, "not_running")
    worker.run_once()
    assert worker_state() == (200, "ok")


def test_a_worker_with_a_hung_task_is_stalled(clock, worker_state):
    heartbeats = HeartbeatRecorder(is_continuous=True)
    for task in ("emails", "ledger"):
        heartbeats.record(task)
    for _ in range(10):
        assert worker_state() == (200, "ok")
        clock.fixed += timedelta(minutes=1)
        heartbeats.record("emails")
    assert worker_state() == (503, "stalled")


def test_deep_must_be_0_or_1(anonymous):
    assert error_paths(anonymous.get("/v1/ready", deep="yes")) == [["deep"]]


def test_health_does_not_query_the_database(anonymous):
    with capture_queries() as statements:
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
