"""With an `Idempotency-Key`, a request runs once and its first response is replayed."""

from datetime import timedelta

import factories
import pytest
from callers import Caller
from response_checks import body_of, error_of, error_paths

from delivery.worker import Worker
from models import ApiToken, Assessment, CandidateKey, IdempotentRequest
from models.ledger.audit import AuditEntry
from tests.access.rows import ROWS
from tests.hostile.operations import fill, operations

PATH = "/v1/assessments"
NEW = {"title": "Backend", "role": "Engineer", "taskBrief": "Fix it."}

# The first stores nothing, the second can be repeated.
WITHOUT_KEY = {"POST /v1/assessments/<assessment_id>/fairness", "POST /v1/sessions/<session_id>/close"}
POSTS = {
    operation.route
    for operation in operations()
    if operation.method == "POST" and "reviewerToken" in operation.callers
}
RESOURCES = {
    operation.route.rpartition("<")[0] + "<" for operation in operations() if operation.method == "GET"
}
REPEATABLE = sorted(route for route in POSTS - WITHOUT_KEY if ROWS[route].statuses.startswith("20"))


def post(caller, path=PATH, body=NEW, key="one"):
    return caller.request("POST", path, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("route", REPEATABLE)
def test_a_request_runs_once_and_its_response_is_replayed(reviewer, names, route):
    path, audited = fill(route, names).removeprefix("POST "), AuditEntry.select().count()
    first, replay = (post(reviewer, path, fill(ROWS[route].body, names)) for _ in range(2))
    assert first.status_code == replay.status_code in (200, 201, 202)
    assert AuditEntry.select().count() == audited + 1, (
        f"{route}: decorate the view with @audit.record_change()."
    )
    assert "Idempotent-Replayed" not in first.headers
    assert replay.headers.get("Idempotent-Replayed") == "true", "Decorate the view with @idempotent."
    assert replay.mimetype == "application/json"
    assert replay.headers.get("ETag") == first.headers.get("ETag")
    location = first.headers.get("Location")
    assert replay.headers.get("Location") == location
    has_path = f"GET {route.removeprefix('POST ')}/<" in RESOURCES
    assert bool(location) == (first.status_code == 201 and has_path), "Decorate the view with @with_location."
    if location:
        assert body_of(reviewer.get(location)).popitem()[1]["id"] == location.rpartition("/")[2]
    without_secret = [response.json | {"secret": None, "note": None} for response in (first, replay)]
    assert without_secret[0] == without_secret[1]


def test_reviewer_posts_accept_an_idempotency_key(anonymous):
    document = anonymous.get("/openapi.json").json
    posts = {
        path: [parameter["name"] for parameter in item["post"].get("parameters", [])]
        for path, item in document["paths"].items()
        if {"reviewerToken": []} in item.get("post", {}).get("security", [])
    }
    missing = [path for path, parameters in posts.items() if "Idempotency-Key" not in parameters]
    expected = ["/v1/assessments/{assessmentId}/fairness", "/v1/sessions/{sessionId}/close"]
    assert sorted(missing) == expected, "Decorate the view with @idempotent."


def test_extend_and_reopen_run_once(reviewer, assessment):
    pending, expired = factories.make_key(assessment), factories.make_key(assessment)
    path = f"/v1/candidates/{pending.id}/extend"
    first = post(reviewer, path, {"days": 2}).json["candidate"]["expiresAt"]
    assert post(reviewer, path, {"days": 2}).json["candidate"]["expiresAt"] == first
    assert reviewer.post(path, {"days": 2}).json["candidate"]["expiresAt"] > first
    expired.update_columns(expires_at=expired.created_at)
    path = f"/v1/candidates/{expired.id}/reopen"
    assert [post(reviewer, path, {}, key="two").status_code for _ in range(2)] == [200, 200]


def test_without_a_key_each_request_runs_and_is_not_stored(reviewer):
    ids = {reviewer.post(PATH, NEW).json["assessment"]["id"] for _ in range(2)}
    assert len(ids) == 2
    assert not IdempotentRequest.select().exists()


def test_a_replay_returns_the_first_response_even_after_changes(reviewer, organization):
    first = post(reviewer).json
    reviewer.patch(f"{PATH}/{first['assessment']['id']}", {"title": "Other"})
    organization.subscribe(None)
    organization.update_columns(plan="trial")
    for body in (NEW, {"title": ""}):
        assert post(reviewer, key="another", body=body).status_code == 402
    assert post(reviewer).json == first


@pytest.mark.parametrize(
    ("path", "body"), [(PATH, NEW | {"title": "Other"}), ("/v1/issues", NEW), (PATH, None)]
)
def test_a_key_cannot_be_reused_for_a_different_request(reviewer, path, body):
    post(reviewer)
    assert error_of(post(reviewer, path, body)) == (422, "idempotency_key_reused")
    assert Assessment.select().count() == 1


def test_keys_are_scoped_to_the_credential(app, reviewer, neighbour, organization):
    colleague = Caller.reviewer(app, organization)
    responses = [post(caller) for caller in (reviewer, colleague, neighbour)]
    assert len({response.json["assessment"]["id"] for response in responses}) == 3


def test_a_reader_gets_no_replay_with_keys(reviewer, reader, assessment):
    path, body = f"{PATH}/{assessment.id}/keys", {"count": 1}
    first = post(reviewer, path, body).json
    assert first["keys"][0]["key"] == CandidateKey.get().key
    assert post(reviewer, path, body).json == first
    assert error_of(post(reader, path, body)) == (403, "insufficient_scope")


def test_errors_are_not_stored(reviewer, reader, anonymous):
    invalid = NEW | {"title": ""}
    statuses = [post(caller, body=invalid).status_code for caller in (reviewer, reader, anonymous)]
    assert statuses == [400, 403, 401]
    assert not IdempotentRequest.select().exists()
    assert post(reviewer).status_code == 201


def test_a_key_must_be_1_to_255_visible_ascii_characters(reviewer):
    for key in ("", "x" * 256, "two words", "naïve", "tab\there"):
        assert error_paths(post(reviewer, key=key)) == [["Idempotency-Key"]], key
    assert not Assessment.select().exists()
    assert post(reviewer, key="!~" * 127 + "x").status_code == 201


def test_only_the_first_response_contains_the_secret(reviewer):
    first, replay = (post(reviewer, "/v1/org/tokens", {"name": "One"}).json for _ in range(2))
    assert first["secret"].startswith("psk_live_")
    assert "note" not in first
    assert replay.keys() == {"token", "note"}
    assert "not stored" in replay["note"]
    assert first["secret"] not in IdempotentRequest.get().answer
    assert ApiToken.select().where(ApiToken.name == "One").count() == 1


def test_only_a_fingerprint_of_the_key_is_stored(reviewer):
    post(reviewer, key="for-alice@example.com")
    assert "alice" not in str(IdempotentRequest.select().dicts().get())


def test_a_key_can_be_reused_after_24_hours(reviewer, clock):
    first = post(reviewer).json
    clock.fixed += timedelta(hours=24, milliseconds=-1)
    assert post(reviewer).json == first
    clock.fixed += timedelta(milliseconds=1)
    assert post(reviewer).json != first


def test_the_worker_deletes_responses_after_a_day(app, reviewer, clock):
    post(reviewer, key="old")
    clock.fixed += timedelta(hours=20)
    post(reviewer, key="recent")
    clock.fixed += timedelta(hours=5)
    Worker(app.config).run_once()
    assert IdempotentRequest.select().count() == 1


def test_an_erased_candidate_is_removed_from_stored_responses(reviewer, assessment):
    path, body = f"{PATH}/{assessment.id}/keys", {"count": 2, "candidateNames": ["Alice", "Bob"]}
    alice, bob = post(reviewer, path, body).json["keys"]
    assert reviewer.delete(f"/v1/candidates/{alice['id']}/data").status_code == 200
    replay = post(reviewer, path, body)
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.json["keys"] == [alice | {"candidateName": None, "metadata": {}}, bob]
