"""Many callers at the same moment, on several processes: nothing is counted twice, nothing is lost."""

import base64
import json
from collections import Counter

import pytest

from tests.live.cast import ASSESSMENT, event, give_consent, invite, list_keys, make_keys, start_session
from tests.live.client import Client, run_concurrently

QUOTA = 10  # of the plan `starter`


def test_creates_at_the_same_moment_never_exceed_the_quota(service):
    reviewer = service.organization("Beta", plan="starter")
    answers = run_concurrently([lambda: reviewer.post("/v1/assessments", ASSESSMENT)] * 32)
    assert Counter(answer.status for answer in answers) == {201: QUOTA, 403: 32 - QUOTA}
    refused = [answer for answer in answers if answer.status == 403]
    assert {(it["code"], it["used"], it["quota"]) for it in refused} == {("quota_exceeded", QUOTA, QUOTA)}
    assert len(reviewer.get("/v1/assessments")["assessments"]) == QUOTA


def test_batches_of_keys_at_the_same_moment_share_no_key(reviewer, assessment):
    batches = run_concurrently([lambda: make_keys(reviewer, assessment, 10)] * 32)
    keys = [key["key"] for batch in batches for key in batch]
    listed = reviewer.get(f"/v1/assessments/{assessment['id']}/keys")["keys"]
    assert len(set(keys)) == 320
    assert sorted(keys) == sorted(key["key"] for key in listed)


def test_redeems_of_one_key_at_the_same_moment_begin_one_session(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    give_consent(service, key["key"])
    public_keys = [base64.b64encode(bytes([number] * 32)).decode() for number in range(16)]
    bodies = [{"key": key["key"], "signingPubKey": public_key} for public_key in public_keys]
    answers = run_concurrently(
        [lambda body=body: service.anonymous.post("/v1/candidate/redeem", body) for body in bodies]
    )
    assert [answer.status for answer in answers] == [200] * 16
    (session_id,) = {answer["sessionId"] for answer in answers}
    assert kept_public_keys(service, session_id) == sorted(public_keys)


def kept_public_keys(service, session_id):
    rows = service.execute(
        "SELECT public_key FROM signing_keys WHERE session_id = %s", service.stored_id(session_id)
    )
    return sorted(public_key for (public_key,) in rows)


def test_consents_at_the_same_moment_are_recorded_once(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    run_concurrently([lambda: give_consent(service, key["key"])] * 16)
    statement = "SELECT COUNT(*) FROM consents JOIN candidate_keys k ON k.id = key_id WHERE k.key = %s"
    assert service.execute(statement, key["key"]) == [(1,)]


def test_an_event_that_comes_often_at_the_same_moment_counts_once(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    session_id = start_session(service, key["key"])
    candidate, same = service.candidate(key["key"]), event()
    answers = run_concurrently([lambda: candidate.post("/v1/hooks/ingest", same)] * 32)
    said = Counter((answer.status, json.dumps(answer.json)) for answer in answers)
    assert said == {(201, '{"ok": true}'): 1, (200, '{"ok": true, "skipped": true}'): 31}
    assert reviewer.get(f"/v1/sessions/{session_id}")["eventCount"] == 1


def test_batches_with_the_same_events_in_another_order_store_each_once(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    session_id, candidate = start_session(service, key["key"]), service.candidate(key["key"])
    for _ in range(4):
        events = [event() for _ in range(100)]
        orders = [{"events": events}, {"events": events[::-1]}] * 4
        answers = run_concurrently(
            [lambda body=body: candidate.post("/v1/hooks/ingest/batch", body) for body in orders]
        )
        assert {answer.status for answer in answers} == {200}
        said = Counter(result["status"] for answer in answers for result in answer["results"])
        assert said == {"created": 100, "skipped": 700}
    assert reviewer.get(f"/v1/sessions/{session_id}")["eventCount"] == 400


def test_an_address_that_comes_often_at_the_same_moment_gets_one_key(reviewer, assessment):
    for on_duplicate, statuses in [("return", {201: 16}), ("refuse", {409: 16})]:
        answers = run_concurrently(
            [lambda said=on_duplicate: invite(reviewer, assessment, "a@example.com", onDuplicate=said)] * 16
        )
        assert Counter(answer.status for answer in answers) == statuses
    assert len(list_keys(reviewer, assessment)) == 1


def test_a_change_never_passes_a_redeem_that_tells_the_candidate(service, reviewer, assessment):
    """Either the candidate is told the new brief, or the change is refused."""
    path = f"/v1/assessments/{assessment['id']}"
    keys = [key["key"] for key in make_keys(reviewer, assessment, 8)]
    for key in keys:
        give_consent(service, key)
    changes = [lambda: reviewer.request("PATCH", path, {"taskBrief": "Changed."})] * 4
    redeems = [lambda key=key: service.anonymous.post("/v1/candidate/redeem", {"key": key}) for key in keys]
    answers = run_concurrently([*redeems[:2], *changes, *redeems[2:]])
    told = {answer["taskBrief"] for answer in answers if "taskBrief" in answer.json}
    assert told == {reviewer.get(path)["assessment"]["taskBrief"]}


@pytest.mark.slow
def test_the_audit_log_is_whole_after_writers_at_the_same_moment(service):
    reviewer = service.organization("Gamma")
    run_concurrently([lambda: reviewer.post("/v1/assessments", ASSESSMENT)] * 32)
    run_concurrently([lambda: service.flask("worker", "--once")] * 2)
    # One more for the organization itself.
    assert "Gamma: 33 rows chained, 0 waiting" in service.flask("audit", "verify", "Gamma")


def test_a_create_that_comes_often_at_the_same_moment_under_one_key_is_done_once(reviewer):
    sender = again_under(reviewer, "the-same")
    answers = run_concurrently([lambda: sender.post("/v1/assessments", ASSESSMENT | {"title": "Once"})] * 50)
    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert Counter(answer.headers["Idempotent-Replayed"] for answer in answers) == {None: 1, "true": 49}
    listed = reviewer.get("/v1/assessments")["assessments"]
    assert [one["title"] for one in listed].count("Once") == 1


@pytest.mark.slow
def test_keys_that_are_asked_for_often_under_one_key_are_invited_once(service, reviewer, assessment):
    sender = again_under(reviewer, "the-same-keys")
    path = f"/v1/assessments/{assessment['id']}/keys"
    body = {"count": 2, "candidateEmails": ["alice@example.com", "bob@example.com"]}
    answers = run_concurrently([lambda: sender.post(path, body)] * 50)
    assert {answer.text for answer in answers} == {answers[0].text}
    ids = {key["id"] for key in reviewer.get(path)["keys"]}
    assert ids == {key["id"] for key in answers[0]["keys"]}
    assert len(ids) == 2
    statement = f"SELECT COUNT(*) FROM deliveries WHERE subject_id IN ({', '.join(['%s'] * 2)})"
    assert service.execute(statement, *(service.stored_id(one) for one in ids)) == [(2,)]


@pytest.mark.slow
def test_others_do_not_wait_for_whoever_holds_a_key(reviewer):
    senders = [again_under(reviewer, f"another-{number}") for number in range(16)]
    answers = run_concurrently([lambda one=one: one.post("/v1/assessments", ASSESSMENT) for one in senders])
    assert {answer.status for answer in answers} == {201}
    assert len({answer["assessment"]["id"] for answer in answers}) == 16


def again_under(reviewer, key):
    return Client(reviewer.port, **reviewer.headers, **{"Idempotency-Key": key})
