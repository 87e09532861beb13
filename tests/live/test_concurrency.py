"""Concurrent requests to several processes do not lose or repeat writes."""

import base64
import uuid
from collections import Counter
from contextlib import closing
from functools import partial

import pytest
import uuid_utils.compat
from callers import CONSOLE_HEADERS

from rules import sign_ins
from tests.live.cast import (
    ASSESSMENT,
    event,
    give_consent,
    invite,
    list_keys,
    make_assessment,
    make_candidate,
    make_keys,
)
from tests.live.client import Client, run_concurrently
from tests.live.service import wait_until

QUOTA = 10  # of the starter plan
INSERT_GRANT = """
    INSERT INTO sign_in_grants (id, created_at, address, method, fingerprint, expires_at)
    VALUES (%s, %s, 'ann@example.com', 'email', %s, %s)
"""


def test_concurrent_creates_never_exceed_the_quota(service):
    reviewer = service.organization("Beta", plan="starter")
    responses = run_concurrently([lambda: reviewer.post("/v1/assessments", ASSESSMENT)] * 32)
    assert Counter(response.status for response in responses) == {201: QUOTA, 403: 32 - QUOTA}
    rejected = [response for response in responses if response.status == 403]
    errors = {(response["code"], response["used"], response["quota"]) for response in rejected}
    assert errors == {("quota_exceeded", QUOTA, QUOTA)}
    assert len(reviewer.get("/v1/assessments")["assessments"]) == QUOTA


@pytest.mark.slow
def test_admins_cannot_demote_each_other_concurrently(service):
    service.organization("People")
    admins = {}
    for name in ("ada", "bob"):
        service.flask("person", "create", "People", f"{name}@example.com", "--name", name)
        token = service.flask("token", "create", "People", "--person", f"{name}@example.com").strip()
        admins[name] = Client(service.port, Authorization=f"Bearer {token}")
    ids = {person["name"]: person["id"] for person in admins["ada"].get("/v1/org/people")["people"]}
    calls = [
        partial(admins[actor].request, "PATCH", f"/v1/org/people/{ids[other]}", {"role": "reviewer"})
        for actor, other in (("ada", "bob"), ("bob", "ada"))
    ]
    statuses = sorted(response.status for response in run_concurrently(calls))
    # 409 because they are the last admin, or 403 because they no longer are one.
    assert statuses in ([200, 403], [200, 409])
    roles = [person["role"] for person in admins["ada"].get("/v1/org/people")["people"]]
    assert sorted(roles) == ["admin", "reviewer"]


def test_concurrently_generated_keys_are_unique(reviewer, assessment):
    batches = run_concurrently([lambda: make_keys(reviewer, assessment, 10)] * 32)
    keys = [key["key"] for batch in batches for key in batch]
    assert len(set(keys)) == 320
    assert sorted(keys) == sorted(key["key"] for key in list_keys(reviewer, assessment))


@pytest.mark.slow
def test_one_of_several_concurrent_changes_with_an_etag_succeeds(reviewer, assessment):
    level = {"value": 0, "label": "Weak"}
    rubric = {"name": "0", "criteria": [{"key": "a", "title": "A", "levels": [level, level | {"value": 1}]}]}
    (key,) = make_keys(reviewer, assessment, 1)
    rubric_id = reviewer.post("/v1/rubrics", rubric)["rubric"]["id"]
    fields = {
        f"/v1/assessments/{assessment['id']}": "title",
        f"/v1/rubrics/{rubric_id}": "name",
        f"/v1/candidates/{key['id']}": "candidateName",
    }
    for path, field in fields.items():
        tag = reviewer.request("PATCH", path, {field: "0"}).headers["ETag"]
        changes = [partial(change, reviewer, path, tag, {field: str(n)}) for n in range(1, 17)]
        responses = run_concurrently(changes)
        assert Counter(response.status for response in responses) == {200: 1, 412: 15}, path
        (successful,) = (response for response in responses if response.status == 200)
        assert change(reviewer, path, successful.headers["ETag"], {field: "17"}).status == 200


def change(reviewer, path, tag, body):
    sender = Client(reviewer.port, **reviewer.headers, **{"If-Match": tag})
    return sender.request("PATCH", path, body)


def test_concurrent_redeems_of_a_key_start_one_session(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    give_consent(service, key["key"])
    public_keys = [base64.b64encode(bytes([number] * 32)).decode() for number in range(16)]
    bodies = [{"key": key["key"], "signingPubKey": public_key} for public_key in public_keys]
    responses = run_concurrently(
        [lambda body=body: service.anonymous.post("/v1/candidate/redeem", body) for body in bodies]
    )
    assert [response.status for response in responses] == [200] * 16
    (session_id,) = {response["sessionId"] for response in responses}
    statement = "SELECT public_key FROM signing_keys WHERE session_id = %s"
    stored = service.execute(statement, service.stored_id(session_id))
    assert sorted(public_key for (public_key,) in stored) == sorted(public_keys)


@pytest.mark.slow
def test_concurrent_consents_are_recorded_once(service, reviewer, assessment):
    (key,) = make_keys(reviewer, assessment, 1)
    run_concurrently([lambda: give_consent(service, key["key"])] * 16)
    statement = "SELECT COUNT(*) FROM consents JOIN candidate_keys k ON k.id = key_id WHERE k.key = %s"
    assert service.execute(statement, key["key"]) == [(1,)]


def test_an_event_sent_concurrently_is_stored_once(reviewer, candidate):
    sent = event()
    responses = run_concurrently([lambda: candidate.ingest(sent)] * 32)
    assert Counter((response.status, str(response.json)) for response in responses) == {
        (201, "{'ok': True}"): 1,
        (200, "{'ok': True, 'skipped': True}"): 31,
    }
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}")["eventCount"] == 1


@pytest.mark.slow
def test_concurrent_batches_in_different_order_store_each_event_once(reviewer, candidate):
    for _ in range(4):
        events = [event() for _ in range(100)]
        batches = [{"events": events}, {"events": events[::-1]}] * 4
        responses = run_concurrently(
            [lambda body=body: candidate.post("/v1/hooks/ingest/batch", body) for body in batches]
        )
        assert {response.status for response in responses} == {200}
        results = Counter(result["status"] for response in responses for result in response["results"])
        assert results == {"created": 100, "skipped": 700}
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}")["eventCount"] == 400


@pytest.mark.slow
def test_concurrent_invitations_to_an_address_create_one_key(reviewer, assessment):
    for on_duplicate, status in [("return", 201), ("reject", 409)]:
        send = partial(invite, reviewer, assessment, "a@example.com", onDuplicate=on_duplicate)
        responses = run_concurrently([send] * 16)
        assert Counter(response.status for response in responses) == {status: 16}
    assert len(list_keys(reviewer, assessment)) == 1


@pytest.mark.slow
def test_concurrent_requests_give_an_external_id_to_one_candidate(reviewer, assessment):
    """New keys and two other candidates' changes compete. Invitations only wait for the same locks."""
    path, others = f"/v1/assessments/{assessment['id']}/keys", make_keys(reviewer, assessment, 2)
    for number in range(4):
        external_id, address = f"applicant-{number}", f"erin{number}@example.com"
        body = {"count": 1, "candidates": [{"email": address, "externalId": external_id}]}
        change = {"externalId": external_id}
        requests = [partial(reviewer.post, path, body)] * 8
        requests += [
            partial(reviewer.request, "PATCH", f"/v1/candidates/{key['id']}", change) for key in others
        ]
        invitations = [partial(invite, reviewer, assessment, address, onDuplicate="return")] * 4
        responses = run_concurrently(requests + invitations)
        rejected = [response for response in responses[:10] if response.status == 409]
        assert [response["code"] for response in rejected] == ["duplicate_external_id"] * 9
        assert [response.status for response in responses[10:]] == [201] * 4
        ids = [key["externalId"] for key in list_keys(reviewer, assessment)]
        assert ids.count(external_id) == 1


@pytest.mark.slow
def test_concurrent_invitations_send_at_most_five_emails_to_an_address(reviewer, assessment):
    for number in range(5):
        address = f"dave{number}@example.com"
        calls = [lambda address=address: invite(reviewer, assessment, address, address)] * 16
        assert {response.status for response in run_concurrently(calls)} == {201}
    states = Counter(key["invite"]["state"] for key in list_keys(reviewer, assessment))
    assert states == {"queued": 5 * 5, "suppressed": 5 * 27}


def test_an_assessment_cannot_change_after_the_first_redeem(service, reviewer, assessment):
    path = f"/v1/assessments/{assessment['id']}"
    keys = [key["key"] for key in make_keys(reviewer, assessment, 8)]
    for key in keys:
        give_consent(service, key)
    changes = [lambda: reviewer.request("PATCH", path, {"taskBrief": "Changed."})] * 4
    redeems = [lambda key=key: service.anonymous.post("/v1/candidate/redeem", {"key": key}) for key in keys]
    responses = run_concurrently([*redeems[:2], *changes, *redeems[2:]])
    briefs = {response["taskBrief"] for response in responses if "taskBrief" in response.json}
    assert briefs == {reviewer.get(path)["assessment"]["taskBrief"]}


@pytest.mark.slow
def test_the_audit_log_is_complete_after_concurrent_writes(service):
    reviewer = service.organization("Gamma")
    run_concurrently([lambda: reviewer.post("/v1/assessments", ASSESSMENT)] * 32)
    run_concurrently([lambda: service.flask("worker", "--once")] * 2)
    assert "No differences" in service.flask("ledger", "verify", "--organization", "Gamma")
    waiting = "SELECT COUNT(*) FROM ledger_entries WHERE position IS NULL"
    assert service.execute(waiting) == [(0,)]


@pytest.mark.slow
def test_a_feed_event_committed_late_is_not_skipped(service):
    if not service.is_postgres:
        pytest.skip("SQLite has a single writer.")
    reviewer, late = service.organization("Late"), str(uuid_utils.compat.uuid7())
    cursor = 0

    def read():
        nonlocal cursor
        page = reviewer.get(f"/v1/events?after={cursor}")
        cursor = page["next"]
        return [entry["id"] for entry in page["events"]]

    with service.worker(), closing(service.connect()) as connection:
        connection.cursor().execute(
            "INSERT INTO feed_events (id, created_at, organization_id, type, data) "
            "SELECT %s, now(), id, 'assessment.created', '{}' FROM organizations WHERE name = 'Late'",
            (late,),
        )
        make_assessment(reviewer)
        assert late not in wait_until(read, "The event was not published.")
        connection.commit()
        assert wait_until(read, "The late event was not published.") == [late]


@pytest.mark.slow
def test_concurrent_upgrades_apply_each_migration_once(installation):
    outputs = run_concurrently([lambda: installation.flask("db", "upgrade")] * 4)
    (upgrade,) = [output for output in outputs if output != "Nothing to apply.\n"]
    assert upgrade.splitlines()[0] == "0001_tables_and_ledger"
    assert "missing" not in installation.flask("db", "status")


@pytest.mark.slow
def test_a_grant_signs_in_once(service):
    service.organization("Signing in")
    service.flask("person", "create", "Signing in", "ann@example.com", "--name", "Ann")
    page = Client(service.port, **CONSOLE_HEADERS)
    for signed_in in range(1, 6):
        secret, now, expiry = sign_ins.generate(), service.stored_time(0), service.stored_time(-600)
        grant_id = service.stored_id(str(uuid.uuid4()))
        service.execute(INSERT_GRANT, grant_id, now, sign_ins.fingerprint(secret), expiry)
        (ann,) = page.post("/v1/sign-in", {"grant": secret})["choices"]
        body = {"grant": secret, "personId": ann["personId"]}
        responses = run_concurrently([lambda body=body: page.post("/v1/sign-in", body)] * 16)
        assert Counter(response.status for response in responses) == {200: 1, 410: 15}
        assert service.execute("SELECT count(*) FROM sign_ins") == [(signed_in,)]


# Erasure

CANDIDATES, EVENTS = 12, 8
TABLES = ("events", "signing_keys", "client_reports")


@pytest.mark.slow
def test_concurrent_requests_store_no_data_after_an_erasure(service, reviewer, assessment):
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
def test_replayed_responses_do_not_name_an_erased_candidate(service, reviewer, assessment):
    path = f"/v1/assessments/{assessment['id']}/keys"
    for number in range(CANDIDATES):
        body = {"count": 1, "candidateEmails": [f"{uuid.uuid4()}@example.com"], "onDuplicate": "return"}
        (key,) = reviewer.post(path, body)["keys"]
        senders = [reviewer.with_idempotency_key(f"{number}-{sender}") for sender in range(4)]
        posts = [lambda sender=sender, body=body: sender.post(path, body) for sender in senders]
        *_, receipt = run_concurrently([*posts, lambda key=key: erase(reviewer, key["id"])])
        assert receipt.status == 200
        # A request after the erasure creates a new key.
        replayed = [entry for post in posts for entry in post()["keys"] if entry["id"] == key["id"]]
        assert {entry["candidateEmail"] for entry in replayed} <= {None}


def erase_during_work(reviewer, candidate):
    """Erase twice during events, a report and the completion, and return both receipts and the events' responses."""
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
