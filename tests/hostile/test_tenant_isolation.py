"""Callers send another organization's ids to every operation, in path, query and body.

They cannot read, change or detect its rows.
"""

import json
from functools import partial

import pytest
from callers import Caller
from response_checks import error_paths

from tests.hostile.operations import OTHER_FORMATS, every_operation
from tests.hostile.world import (
    FOREIGN_NAME,
    NOT_FOUND,
    UNAUTHENTICATED,
    body_with,
    field_paths,
    rolled_back,
    snapshot,
)

# The matching ids as a permitted caller, or every id as every caller.
EXTENTS = pytest.mark.parametrize(
    ("database_url", "extent"),
    [("sqlite", "matching"), ("postgresql", "matching"), ("postgresql", "every")],
    indirect=["database_url"],
    scope="session",
)
CALLERS = ("writer", "reader", "candidate", "finished", "runner")
# Fields that refer to a row or an object. `evidence` refers to events.
REFERENCES = {name for operation in every_operation() for name in operation.references}
REFERENCES |= {"sessionId", "evidence", "bundleKey"}


class Walk:
    """Calls operations as each caller with own or other_org ids."""

    def __init__(self, world):
        self.world = world
        own = world.own
        finished = Caller.candidate(world.app, own.finished.key)
        callers = (own.reviewer, own.reader, own.candidate, finished, own.runner)
        self.callers = dict(zip(CALLERS, callers, strict=True))
        ids = [*world.other_org.ids.values(), world.other_org.organization.id]
        self.other_org = [*dict.fromkeys(map(str, ids))]
        for shared in ("quality", "tests"):  # both organizations have this criterion and this input
            self.other_org.remove(shared)

    def call(self, caller_name, operation, path=None, body=None, query=None):
        if body is None and operation.body is not None:
            body = json.dumps(self.world.body(operation)).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        environ = {
            "PATH_INFO": path or self.world.path(operation),
            "QUERY_STRING": self.world.query(operation) if query is None else query,
        }
        caller = self.callers[caller_name]
        send = partial(caller.request, operation.method, "/", headers, data=body, environ_overrides=environ)
        # These operations use their protocols' formats. No proxy is configured, and the body has no telemetry.
        return send() if operation.path.startswith(OTHER_FORMATS) else rolled_back(send)

    def callers_of(self, operation, extent):
        if extent == "every":
            return CALLERS
        if "runnerToken" in operation.callers:
            return ("runner",)
        return ("writer",) if "reviewerToken" in operation.callers else ("candidate",)

    def foreign_ids_in_path(self, operation, extent):
        """Yield path parameters with the matching other_org ids, and each parameter with every other_org id."""
        matching = {name: self.world.other_org.ids[name] for name in operation.path_parameters}
        if set(matching) - {"criterion"}:
            yield matching
        if extent == "every":
            for name in set(matching) - {"criterion"}:
                yield from ({name: foreign_id} for foreign_id in self.other_org)

    def other_org_ids(self, field, extent):
        if extent == "every":
            return self.other_org
        ids = self.world.other_org.ids
        return [
            str(
                ids[
                    {"evidence": "eventId", "bundleKey": "objectKey", "templateId": "assessmentId"}.get(
                        field, field
                    )
                ]
            )
        ]

    def check_error(self, caller_name, operation, response):
        """Check that the error depends on the caller, not on whether the row exists."""
        credentials = {"writer": "reviewerToken", "reader": "reviewerToken", "runner": "runnerToken"}
        credential = credentials.get(caller_name, "candidateKey")
        if not operation.callers:
            assert response.status_code in (403, 404), (caller_name, operation)
        elif credential not in operation.callers:
            assert response.json == UNAUTHENTICATED, (caller_name, operation)
        elif caller_name == "reader" and response.status_code == 403:
            assert response.json["code"] == "insufficient_scope", operation
        elif operation.path.endswith("/scores/reveal"):  # for people only
            assert response.json["code"] == "insufficient_role", operation
        else:
            assert response.json == NOT_FOUND, (caller_name, operation)


@pytest.fixture
def walk(world):
    return Walk(world)


@EXTENTS
def test_foreign_ids_in_a_path_are_not_found(walk, extent):
    before = snapshot()
    for operation in every_operation():
        if operation.path.startswith(OTHER_FORMATS):
            continue
        for ids in walk.foreign_ids_in_path(operation, extent):
            for caller_name in walk.callers_of(operation, extent):
                response = walk.call(caller_name, operation, path=walk.world.path(operation, **ids))
                walk.check_error(caller_name, operation, response)
    assert snapshot() == before


@EXTENTS
def test_queries_return_no_foreign_data(walk, extent):
    before = snapshot()
    every = [*walk.other_org, "open@example.com"]
    for operation in every_operation():
        for parameter in operation.query_parameters:
            for value in (FOREIGN_NAME, *(every if extent == "every" else ())):
                for caller_name in walk.callers_of(operation, extent):
                    # Fails if FOREIGN_NAME is in the response.
                    walk.call(caller_name, operation, query=f"{parameter}={value}")
    assert snapshot() == before


@EXTENTS
def test_foreign_ids_in_a_body_are_rejected(walk, extent):
    """Like unknown ids: 400 with the field's name for a reviewer's reference (R8), otherwise 404."""
    before = snapshot()
    accepted = set()
    for operation in every_operation():
        body = walk.world.body(operation) or {}
        for path in (path for path in field_paths(body) if path[-1] in REFERENCES):
            for foreign_id in walk.other_org_ids(path[-1], extent):
                value = json.dumps([foreign_id] if path[-1] == "evidence" else foreign_id).encode()
                for caller_name in walk.callers_of(operation, extent):
                    response = walk.call(caller_name, operation, body=body_with(body, path, value))
                    if response.status_code < 400:
                        accepted.add((str(operation), path[-1]))
                    elif caller_name == "writer" and response.status_code == 400:
                        assert path[-1] in error_paths(response)[0], operation
                    elif extent == "matching" and "/sign-in" not in operation.path:
                        # Any rubric but the assessment's is outdated.
                        assert response.json == NOT_FOUND or response.json["code"] == "rubric_changed", (
                            operation
                        )
    assert snapshot() == before
    # A submission without its own bundle is recorded as unverified.
    assert accepted == {("POST /v1/candidate/submit-code", "bundleKey")}


def test_a_foreign_bundle_is_not_verified(walk):
    (operation,) = (operation for operation in every_operation() if operation.path.endswith("/submit-code"))
    body = walk.world.body(operation) | {"bundleKey": walk.world.other_org.ids["objectKey"]}
    response = walk.call("candidate", operation, body=json.dumps(body).encode())
    assert response.json == {"ok": True, "verified": False}


@pytest.mark.slow
def test_responses_to_own_ids_contain_no_foreign_data(walk):
    for operation in every_operation():
        for caller_name in CALLERS:
            response = walk.call(caller_name, operation)
            assert response.status_code < 500
            assert FOREIGN_NAME not in response.text
