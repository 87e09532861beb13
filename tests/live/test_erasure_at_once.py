"""An erasure while the candidate's tools still send: nothing slips in behind it, and two are one."""

import uuid

import pytest

from tests.live.cast import event, make_keys, start_session
from tests.live.client import Client, run_concurrently

CANDIDATES = 12
EVENTS = 8
TABLES = ("events", "signing_keys", "client_reports", "seals")
DEVICE = {"checkpoint": "done", "fingerprint": {}}


@pytest.mark.slow
def test_nothing_slips_in_behind_an_erasure(service, reviewer, assessment):
    for key in make_keys(reviewer, assessment, CANDIDATES):
        session_id = start_session(service, key["key"])
        receipts, ingested = race(service, reviewer, key, session_id)
        assert [receipt.status for receipt in receipts] == [200, 200]
        assert receipts[0].json == receipts[1].json == reviewer.delete(data_of(key)).json
        assert {answer.status for answer in ingested} <= {201, 401, 409}
        assert left_of(service, session_id) == dict.fromkeys(TABLES, 0)
        shown = reviewer.get(f"/v1/sessions/{session_id}").json
        stored = sum(answer.status == 201 for answer in ingested)
        assert shown["eventCount"] == shown["metrics"]["promptCount"] == stored


@pytest.mark.slow
def test_no_answer_that_is_kept_has_a_person_who_was_erased(service, reviewer, assessment):
    """A request that may be sent again gets its first answer again, and that was being written meanwhile."""
    path = f"/v1/assessments/{assessment['id']}/keys"
    for number in range(CANDIDATES):
        email = f"{uuid.uuid4()}@example.com"
        body = {"count": 1, "candidateEmails": [email], "onDuplicate": "return"}
        (key,) = reviewer.post(path, body)["keys"]
        senders = [
            Client(service.port, **reviewer.headers, **{"Idempotency-Key": f"{number}-{sender}"})
            for sender in range(4)
        ]
        asks = [lambda sender=sender, body=body: sender.post(path, body) for sender in senders]
        *_, receipt = run_concurrently([*asks, lambda key=key: reviewer.delete(data_of(key))])
        assert receipt.status == 200
        # Who asked after the erasure got a new key.
        again = [found for ask in asks for found in ask()["keys"] if found["id"] == key["id"]]
        assert {found["candidateEmail"] for found in again} <= {None}


def race(service, reviewer, key, session_id):
    """Erase twice, complete, and report while events come in: the answers to the erasures, and to the events."""
    candidate, completion = service.candidate(key["key"]), {"key": key["key"], "sessionId": session_id}
    calls = [lambda: reviewer.delete(data_of(key))] * 2
    calls += [lambda: candidate.post("/v1/hooks/ingest", event())] * EVENTS
    calls += [lambda: candidate.post("/v1/candidate/device-check", DEVICE)]
    calls += [lambda: service.anonymous.post("/v1/candidate/complete", completion)]
    answers = run_concurrently(calls)
    return answers[:2], answers[2 : 2 + EVENTS]


def data_of(key):
    return f"/v1/candidates/{key['id']}/data"


def left_of(service, session_id):
    row = service.stored_id(session_id)
    return {
        table: service.execute(f"SELECT count(*) FROM {table} WHERE session_id = %s", row)[0][0]
        for table in TABLES
    }
