"""Health and readiness, for platforms and load balancers."""

import pytest
from statements import counted

from models import db
from ops import readiness
from storage import FolderStorage

READY = {"database": "ok", "migrations": "ok", "storage": "ok"}


@pytest.fixture
def get_ready(anonymous, monkeypatch):
    """Requests the readiness, which is checked each time."""
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 0)
    return lambda: anonymous.get("/v1/ready")


@pytest.fixture
def store_in(app, monkeypatch):
    def replace(folder):
        store = FolderStorage(folder, "http://localhost", lambda: b"")
        monkeypatch.setattr(app.extensions["readiness"], "_storage", store)

    return replace


def test_service_is_ready_and_the_check_leaves_no_file(get_ready, store_in, tmp_path):
    store_in(tmp_path / "bundles")
    response = get_ready()
    assert (response.status_code, response.json) == (200, {"status": "ready", "parts": READY})
    assert list((tmp_path / "bundles").iterdir()) == []


def test_service_is_not_ready_without_all_migrations(get_ready):
    db.execute_sql("DELETE FROM migrations")
    response = get_ready()
    assert (response.status_code, response.json["code"]) == (503, "not_ready")
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["parts"] == READY | {"migrations": "behind"}


def test_service_is_not_ready_without_a_writable_store(get_ready, store_in, tmp_path):
    (tmp_path / "file").touch()
    store_in(tmp_path / "file" / "bundles")
    response = get_ready()
    assert response.status_code == 503
    assert response.json["parts"] == READY | {"storage": "not_writable"}
    assert str(tmp_path) not in response.text


def test_readiness_is_checked_once_a_second(app, anonymous, monkeypatch):
    checks, created = [], readiness.Readiness(app.extensions["storage"])
    monkeypatch.setitem(app.extensions, "readiness", created)
    monkeypatch.setattr(created, "_check", lambda: checks.append(1) or READY)
    assert {anonymous.get("/v1/ready").status_code for _ in range(20)} == {200}
    assert len(checks) == 1


def test_health_does_not_query_the_database(anonymous):
    with counted() as statements:
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
