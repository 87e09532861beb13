"""`flask backup` and `flask restore` during writes (docs/backup.md)."""

import json

from tests.live.cast import event, make_assessment, make_candidate
from tests.live.client import Client, Load
from tests.live.service import Service, wait_until


def stored_events(service):
    return {event_id for (event_id,) in service.execute("SELECT event_id FROM events")}


def test_a_backup_during_writes_has_every_acknowledged_event(tmp_path):
    file, folder, acknowledged = tmp_path / "proofstone.tar", tmp_path / "restored", []
    with Service(tmp_path).start() as service, service.worker():
        reviewer = service.organization("Acme")
        candidate = make_candidate(service, reviewer, make_assessment(reviewer))

        def ingest():
            sent = event()
            assert candidate.ingest(sent).status == 201
            acknowledged.append(sent["id"])

        def wait_for_more():
            target = len(acknowledged) + 20
            wait_until(lambda: len(acknowledged) >= target, "No more events were acknowledged.")

        with Load([ingest] * 3):
            wait_for_more()
            before = set(acknowledged)
            service.flask("backup", str(file))
            wait_for_more()
    folder.mkdir()
    restored = Service(folder)
    assert "Restored the database" in restored.flask("restore", str(file))
    assert before <= stored_events(restored) <= set(acknowledged)
    # The restore is in the ledger: a later checkpoint is lost, and no manipulation.
    ((organization_id,),) = restored.execute("SELECT id FROM organizations")
    data = {"organizationId": organization_id, "position": 10**6, "head": "00"}
    later = {"type": "ledger.checkpoint", "data": data | {"createdAt": "2026-01-01T00:00:00.000Z"}}
    (tmp_path / "checkpoints").write_text(json.dumps(later))
    with restored.start():
        assert restored.anonymous.get("/v1/ready").json["parts"]["storage"] == "ok"
        # The worker lists a closed session's events without a delay.
        completion = {"key": candidate.key, "sessionId": candidate.session_id}
        assert restored.candidate(candidate.key).post("/v1/candidate/complete", completion).status == 200
        for _ in range(2):
            output = restored.flask("ledger", "verify", "--checkpoints", str(tmp_path / "checkpoints"))
            assert "lost by a restore" in output
            assert "No differences." in output
            restored.flask("worker", "--once")
        token = restored.flask("token", "create", "Acme").split()[-1]
        reviewer = Client(restored.port, Authorization=f"Bearer {token}")
        counts = reviewer.get(f"/v1/sessions/{candidate.session_id}/integrity")["counts"]
        assert (counts["recorded"], counts["notRecorded"]) == (len(stored_events(restored)), 0)
