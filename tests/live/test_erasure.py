"""Erase a candidate while their tools still send: nothing is stored after the erasure."""

import uuid

import pytest

from tests.live.cast import event, make_candidate
from tests.live.client import run_concurrently

CANDIDATES = 12
EVENTS = 8
TABLES = ("events", "signing_keys", "client_reports", "seals")


@pytest.mark.slow
def test_nothing_is_stored_after_an_erasure(service, reviewer, assessment):
    for _ in range(CANDIDATES):
        candidate = make_candidate(service, reviewer, assessment)
        receipts, ingested = erase_during_work(reviewer, candidate)
        assert [receipt.status for receipt in receipts] == [200, 200]
        assert receipts[0].json == receipts[1].json == erase(reviewer, candidate.id).json
        assert {response.status for response in ingested} <= {201, 401, 409}
        stored = [f"SELECT count(*) FROM {table} WHERE session_id = %s" for table in TABLES]
        session_id = service.stored_id(candidate.session_id)
        assert [service.execute(query, session_id) for query in stored] == [[(0,)]] * len(TABLES)
        session = reviewer.get(f"/v1/sessions/{candidate.session_id}").json
        accepted = sum(response.status == 201 for response in ingested)
        assert session["eventCount"] == session["metrics"]["promptCount"] == accepted


@pytest.mark.slow
def test_no_replayed_response_names_an_erased_candidate(service, reviewer, assessment):
    path = f"/v1/assessments/{assessment['id']}/keys"
    for number in range(CANDIDATES):
        body = {"count": 1, "candidateEmails": [f"{uuid.uuid4()}@example.com"], "onDuplicate": "return"}
        (key,) = reviewer.post(path, body)["keys"]
        senders = [reviewer.with_idempotency_key(f"{number}-{sender}") for sender in range(4)]
        posts = [lambda sender=sender, body=body: sender.post(path, body) for sender in senders]
        *_, receipt = run_concurrently([*posts, lambda key=key: erase(reviewer, key["id"])])
        assert receipt.status == 200
        # A request after the erasure created another key.
        replayed = [it for post in posts for it in post()["keys"] if it["id"] == key["id"]]
        assert {it["candidateEmail"] for it in replayed} <= {None}


def erase_during_work(reviewer, candidate):
    """Erase twice while events, a report and the completion arrive; returns both receipts and the events' responses."""
    device_check = {"checkpoint": "done", "fingerprint": {}}
    responses = run_concurrently(
        [
            *[lambda: erase(reviewer, candidate.id)] * 2,
            *[lambda: candidate.ingest(event())] * EVENTS,
            lambda: candidate.post("/v1/candidate/device-check", device_check),
            candidate.complete,
        ]
    )
    return responses[:2], responses[2 : 2 + EVENTS]


def erase(reviewer, key_id):
    return reviewer.delete(f"/v1/candidates/{key_id}/data")
