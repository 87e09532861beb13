"""`flask backup` and `flask restore` while processes run (docs/backup.md)."""

import subprocess

import pytest

from tests.live.cast import event, make_assessment, make_candidate
from tests.live.client import Client, Load
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path).start() as service, service.worker():
        yield service


@pytest.fixture
def candidate(service):
    reviewer = service.organization("Acme")
    return make_candidate(service, reviewer, make_assessment(reviewer))


def stored_events(service):
    return {event_id for (event_id,) in service.execute("SELECT event_id FROM events")}


def test_a_backup_during_writes_has_every_acknowledged_event(service, candidate, tmp_path):
    file, folder, acknowledged = tmp_path / "proofstone.tar", tmp_path / "restored", []

    def ingest():
        sent = event()
        assert candidate.ingest(sent).status == 201
        acknowledged.append(sent["id"])

    def wait_for_more():
        target = len(acknowledged) + 20
        wait_until(lambda: len(acknowledged) >= target, "No more events are acknowledged.")

    with Load([ingest] * 3):
        wait_for_more()
        before = set(acknowledged)
        service.flask("backup", str(file))
        wait_for_more()
    folder.mkdir()
    restored = Service(folder)
    assert "Restored the database" in restored.flask("restore", str(file))
    assert before <= stored_events(restored) <= set(acknowledged)
    with restored.start():
        restored.flask("worker", "--once")
        assert "first broken" not in restored.flask("audit", "verify")
        token = restored.flask("token", "create", "Acme").split()[-1]
        reviewer = Client(restored.port, Authorization=f"Bearer {token}")
        seal = reviewer.get(f"/v1/sessions/{candidate.session_id}/integrity")["seal"]
        assert (seal["isWhole"], seal["count"]) == (True, len(stored_events(restored)))


def test_a_running_service_cannot_be_restored(service, candidate, tmp_path):
    file, later = tmp_path / "proofstone.tar", event()
    service.flask("backup", str(file))
    assert candidate.ingest(later).status == 201
    with pytest.raises(subprocess.CalledProcessError):
        service.flask("restore", str(file), "--overwrite")
    assert candidate.ingest().status == 201
    stored = stored_events(service)
    assert later["id"] in stored
    assert len(stored) == 2
