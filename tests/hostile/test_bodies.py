"""Every hostile value in every field of every request body is either served or rejected with an API error."""

import json

import pytest

from schemas.base import request_example
from schemas.keys import NewCandidate
from tests.hostile.operations import operations
from tests.hostile.values import BODIES, INVALID_JSON_VALUES, JSON_VALUES
from tests.hostile.world import body_with, field_paths, snapshot
from web.json import MAX_BODY_BYTES, MAX_DEPTH, MAX_EVENT_BYTES

WITH_BODY = [operation for operation in operations() if operation.body is not None]
# Can contain any JSON (R39).
AGENT_HOOKS = ("/v1/hooks/claude-code", "/v1/hooks/codex", "/v1/hooks/opencode")
# A batch's entries are parsed and rejected individually.
LENIENT = ("/v1/hooks/ingest/batch", *AGENT_HOOKS)
STRICT = [operation for operation in WITH_BODY if operation.path not in LENIENT]
# Events are stored as text, and unstorable characters of a diff or a runner's report are replaced.
ANYTHING_IN = ("data", "rawPayload", "events", "diff", "tests", "reason")
UNSTORABLE = ("NUL", "lone surrogate", "beyond 64 bits", "beyond a float")
# Tested elsewhere, because they need more rows.
NOT_SERVED = {
    "POST /v1/sessions/{sessionId}/scores/reveal",  # for people only
    "POST /v1/assessments/{assessmentId}/scores/reveal",
    "PATCH /v1/assessments/{assessmentId}",
    "GET /v1/sessions/{sessionId}/bundle",
    "GET /v1/sessions/{sessionId}/bundle/files",
    "POST /v1/candidate/upload-url",
    "POST /v1/candidate/submit-code",
    "PUT /v1/bundles/{objectKey}",
    "PUT /v1/candidate/submission",
    "GET /v1/sessions/{sessionId}/submission",
    "POST /v1/sessions/{sessionId}/test-runs",
    "GET /v1/issues/{issueId}/tests/check",
    "POST /v1/issues/{issueId}/tests/check",
    "GET /v1/runner/jobs/{jobId}/inputs/{name}",
    "POST /v1/sign-in",
    "DELETE /v1/sign-in/session",
    "POST /v1/integrations/{integrationId}/events",
    *(
        f"{method} /v1/{path}/{kind}"
        for method in ("GET", "PUT", "DELETE")
        for path in ("assessments/{assessmentId}", "issues/{issueId}")
        for kind in ("repository", "tests", "reference")
    ),
}
LARGE = (
    *("/v1/hooks/ingest", "/v1/hooks/ingest/batch", "/v1/candidate/submit-code"),
    *AGENT_HOOKS,
    "/v1/runner/jobs/{jobId}/result",
)


def max_bytes(operation):
    return MAX_EVENT_BYTES if operation.path in LARGE else MAX_BODY_BYTES


def served_with_body(world):
    return [operation for operation in world.served() if operation.body is not None]


def test_valid_requests_are_served(world):
    assert {str(operation) for operation in operations()} - set(map(str, world.served())) <= NOT_SERVED


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
def test_rejected_bodies_change_nothing(world, operation):
    body, before = world.body(operation), snapshot()
    for path in field_paths(body):
        for value in JSON_VALUES.values():
            world.call(operation, body=body_with(body, path, value))
    for missing in body:
        rest = {name: value for name, value in body.items() if name != missing}
        for sent in (rest, {missing: body[missing]}, {}):
            world.call(operation, body=json.dumps(sent).encode())
    assert snapshot() == before


@pytest.mark.slow
def test_rejected_candidates_in_key_generation_change_nothing(world):
    (operation,) = [each for each in WITH_BODY if str(each) == "POST /v1/assessments/{assessmentId}/keys"]
    candidate, before = request_example(NewCandidate()), snapshot()
    body = {"count": 2, "candidates": [candidate | {"extraMinutes": None}, {}]}
    assert world.call(operation, body=json.dumps(body).encode()).status_code == 201
    for path in field_paths(body):
        for value in JSON_VALUES.values():
            world.call(operation, body=body_with(body, path, value))
    assert snapshot() == before


@pytest.mark.parametrize("names", [UNSTORABLE[:1], pytest.param(UNSTORABLE[1:], marks=pytest.mark.slow)])
def test_unstorable_values_are_rejected_in_every_field(world, names):
    before = snapshot()
    for operation in STRICT:
        body = world.body(operation)
        for path in (path for path in field_paths(body) if path[0] not in ANYTHING_IN):
            for name in names:
                response = world.call(operation, body=body_with(body, path, JSON_VALUES[name]))
                assert response.status_code == 400, (operation, path, name)
    assert snapshot() == before


@pytest.mark.slow
def test_invalid_json_is_rejected_with_the_right_status(world):
    before = snapshot()
    for operation in STRICT:
        body = world.body(operation)
        for path in (next(field_paths(body)), list(field_paths(body))[-1]):
            for name, value in INVALID_JSON_VALUES.items():
                response = world.call(operation, body=body_with(body, path, value))
                assert response.status_code == 400, (operation, path, name)
    for operation in WITH_BODY:
        for name, (body, headers, status) in BODIES.items():
            response = world.call(operation, body=body, **{"Content-Type": ""} | headers)
            is_accepted = operation.path in AGENT_HOOKS and response.status_code == 200 and status == 400
            assert response.status_code == status or is_accepted, (operation, name)
    assert snapshot() == before


@pytest.mark.slow
def test_bodies_over_the_size_limit_are_rejected(world):
    for operation in served_with_body(world):
        largest = json.dumps(world.body(operation)).encode().ljust(max_bytes(operation))
        assert world.call(operation, body=largest).status_code < 300, operation
        rejected = world.call(operation, body=largest + b" ")
        assert (rejected.status_code, rejected.json["code"]) == (413, "too_large"), operation


@pytest.mark.slow
def test_charset_and_identity_encoding_are_accepted(world):
    headers = {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "Identity"}
    for operation in served_with_body(world):
        assert world.call(operation, **headers).status_code < 300, operation


@pytest.mark.slow
def test_unknown_fields_are_ignored_or_rejected_and_32_levels_are_accepted(world):
    deep = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    unknown = {
        "__proto__": {"admin": True},
        "orgId": "x",
        "createdAt": 1,
        "constructor": None,
        "": [],
        "deep": deep,
    }
    for operation in served_with_body(world):
        response = world.call(operation, body=json.dumps(world.body(operation) | unknown).encode())
        if operation.rejects_unknown:
            assert response.json["code"] == "invalid_request", operation
            names = {detail["path"][0] for detail in response.json["details"]}
            assert names >= {"__proto__", "constructor", "", "deep"}, operation
        else:
            assert response.status_code < 300, operation
