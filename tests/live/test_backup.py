"""`flask backup` and `flask restore` next to running processes (docs/backup.md)."""

import subprocess

import pytest

from tests.live.cast import event, make_assessment, make_keys, start_session
from tests.live.client import Client, Load
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow


class BusyService:
    """A service with a candidate who sends events; `acknowledged` has the ids of the acknowledged ones."""

    def __init__(self, service):
        self.service = service
        reviewer = service.organization("Acme")
        key = make_keys(reviewer, make_assessment(reviewer), 1)[0]["key"]
        self.session_id = start_session(service, key)
        self.candidate = service.candidate(key)
        self.acknowledged = []

    def ingest(self):
        body = event()
        assert self.candidate.post("/v1/hooks/ingest", body).status == 201
        self.acknowledged.append(body["id"])

    def wait_for_more(self):
        target = len(self.acknowledged) + 20
        wait_until(lambda: len(self.acknowledged) >= target, "No more events are acknowledged.")


@pytest.fixture
def busy(tmp_path):
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start() as service, service.worker():
        yield BusyService(service)


def stored_events(service):
    return {event_id for (event_id,) in service.execute("SELECT event_id FROM events")}


def test_a_backup_during_writes_has_every_acknowledged_event_and_intact_chains(busy, tmp_path):
    file, folder = tmp_path / "proofstone.tar", tmp_path / "restored"
    with Load([busy.ingest] * 3):
        busy.wait_for_more()
        acknowledged = set(busy.acknowledged)
        busy.service.flask("backup", str(file))
        busy.wait_for_more()
    folder.mkdir()
    restored = Service(folder, f"sqlite:///{folder}/proofstone.db")
    assert "Restored the database" in restored.flask("restore", str(file))
    assert acknowledged <= stored_events(restored) <= set(busy.acknowledged)
    with restored.start() as restored:
        restored.flask("worker", "--once")
        assert "first broken" not in restored.flask("audit", "verify")
        token = restored.flask("token", "create", "Acme").split()[-1]
        reviewer = Client(restored.port, Authorization=f"Bearer {token}")
        seal = reviewer.get(f"/v1/sessions/{busy.session_id}/integrity")["seal"]
        assert (seal["isWhole"], seal["count"]) == (True, len(stored_events(restored)))


def test_a_running_service_cannot_be_restored(busy, tmp_path):
    file = tmp_path / "proofstone.tar"
    busy.service.flask("backup", str(file))
    busy.ingest()
    with pytest.raises(subprocess.CalledProcessError):
        busy.service.flask("restore", str(file), "--overwrite")
    busy.ingest()
    assert stored_events(busy.service) == set(busy.acknowledged)
