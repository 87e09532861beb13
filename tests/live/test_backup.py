"""`flask backup` and `flask restore` beside real processes that read and write (docs/backup.md)."""

import subprocess

import pytest

from tests.live.cast import begin, event, make_assessment, make_keys
from tests.live.client import Load
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def busy(tmp_path):
    """A service with a worker, a candidate whose events come in, and the ids of those that were acknowledged."""
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start() as service, service.worker():
        yield Busy(service)


class Busy:
    def __init__(self, service):
        self.service = service
        self.reviewer = service.organization("Acme")
        key = make_keys(self.reviewer, make_assessment(self.reviewer), 1)[0]["key"]
        self.session = begin(service, key)
        self.candidate = service.candidate(key)
        self.acknowledged = []

    def ingest(self):
        sent = event()
        assert self.candidate.post("/v1/hooks/ingest", sent).status == 201
        self.acknowledged.append(sent["id"])

    def write_more(self):
        enough = len(self.acknowledged) + 20
        wait_until(lambda: len(self.acknowledged) >= enough, "Nothing is written any more.")


def events(service):
    return {event_id for (event_id,) in service.execute("SELECT event_id FROM events")}


def test_a_backup_beside_writers_has_all_that_was_acknowledged_and_is_restored_as_a_whole(busy, tmp_path):
    file, folder = tmp_path / "proofstone.tar", tmp_path / "elsewhere"
    with Load([busy.ingest] * 3):
        busy.write_more()
        before = set(busy.acknowledged)
        busy.service.flask("backup", str(file))
        busy.write_more()
    folder.mkdir()
    restored = Service(folder, f"sqlite:///{folder}/proofstone.db")
    assert "Restored the database" in restored.flask("restore", str(file))
    assert before <= events(restored) <= set(busy.acknowledged)
    with restored.start() as restored:
        restored.flask("worker", "--once")
        assert "first broken" not in restored.flask("audit", "verify")
        token = restored.flask("token", "create", "Acme").split()[-1]
        reviewer = type(busy.reviewer)(restored.port, Authorization=f"Bearer {token}")
        integrity = reviewer.get(f"/v1/sessions/{busy.session}/integrity")
        assert (integrity["seal"]["isWhole"], integrity["seal"]["count"]) == (True, len(events(restored)))


def test_nothing_is_restored_beside_a_service_at_work(busy, tmp_path):
    file = tmp_path / "proofstone.tar"
    busy.service.flask("backup", str(file))
    busy.ingest()
    with pytest.raises(subprocess.CalledProcessError):
        busy.service.flask("restore", str(file), "--overwrite")
    busy.ingest()
    assert events(busy.service) == set(busy.acknowledged)
