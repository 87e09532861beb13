"""Is the service there, and is it ready: what platforms and load balancers ask."""

import pytest
from statements import counted

from models import db
from ops import readiness
from storage import FolderStorage


@pytest.fixture
def parts(app, anonymous, monkeypatch):
    """Asks whether the service is ready, and looks at its parts each time."""
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 0)
    return lambda: anonymous.get("/v1/ready")


@pytest.fixture
def storage_at(app, monkeypatch):
    def place(folder):
        seen = app.extensions["readiness"]
        monkeypatch.setattr(seen, "_storage", FolderStorage(folder, "http://localhost", lambda: b""))

    return place


def test_a_service_whose_parts_are_there_is_ready(parts):
    answer = parts()
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "parts": {"database": "ok", "migrations": "ok", "storage": "ok"},
    }


def test_asking_leaves_nothing_in_the_store(parts, storage_at, tmp_path):
    storage_at(tmp_path / "bundles")
    assert parts().status_code == 200
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_missing_migration_is_told(parts):
    db.execute_sql("DELETE FROM migrations")
    answer = parts()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["code"] == "not_ready"
    assert answer.json["parts"] == {"database": "ok", "migrations": "behind", "storage": "ok"}


def test_a_store_that_takes_nothing_is_told_without_its_place(parts, storage_at, tmp_path):
    (tmp_path / "file").touch()
    storage_at(tmp_path / "file" / "bundles")
    answer = parts()
    assert answer.status_code == 503
    assert answer.json["parts"] == {"database": "ok", "migrations": "ok", "storage": "not_writable"}
    assert str(tmp_path) not in answer.text


def test_however_many_ask_the_parts_are_looked_at_once_a_second(app, anonymous, monkeypatch):
    looked = []
    seen = readiness.Readiness(app.extensions["storage"])
    monkeypatch.setitem(app.extensions, "readiness", seen)
    monkeypatch.setattr(seen, "_check", lambda: looked.append(1) or {"database": "ok"})
    assert {anonymous.get("/v1/ready").status_code for _ in range(20)} == {200}
    assert len(looked) == 1


def test_health_asks_no_database(anonymous):
    with counted() as statements:
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
