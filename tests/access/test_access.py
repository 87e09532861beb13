"""Each caller's status for every route (tests/access/rows.py)."""

import re
from collections import defaultdict

import factories
import pytest
from callers import CONSOLE_HEADERS, Caller
from response_checks import error_of, error_paths

from models.base import new_id
from models.webhooks.outbox import publish_new
from rules.roles import ROLES
from tests.access.rows import CALLERS, CANDIDATE_PREFIXES, READ_SCOPE_CHANGES, ROWS, SHARED, call
from tests.hostile.operations import create_missing, every_operation, fill, operations

ERASURE = {
    "DELETE /v1/candidates/<candidate_id>/data",
    "POST /v1/candidates/<candidate_id>/dismiss-erasure-request",
}


@pytest.fixture
def callers(app, organization, names, reviewer, reader, candidate, neighbour, anonymous):
    other_key = factories.make_key(factories.make_assessment(organization))
    factories.make_recorded_session(other_key)
    revoked = Caller.reviewer(app, organization)
    revoked.row.revoke()
    people = [factories.make_person(organization, role, name=role) for role in ROLES]
    cookies = [Caller.signed_in(app, person) for person in people]
    cross_site = {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
    other_site = Caller.signed_in(app, people[0], **cross_site)
    outsider = Caller.candidate(app, other_key)
    runner = Caller.runner(app, organization, names["job_id"])
    return reviewer, reader, candidate, outsider, neighbour, revoked, anonymous, runner, *cookies, other_site


def test_each_caller_gets_the_expected_status(names, callers):
    by_name = dict(zip(CALLERS, callers, strict=True))
    statuses = {
        route: {name: str(call(caller, route, names).status_code) for name, caller in by_name.items()}
        for route in ROWS
    }
    assert statuses == {route: row.by_caller for route, row in ROWS.items()}


def test_a_sign_in_grants_the_same_permissions_as_the_persons_token(app, names, organization):
    expected = {route: row.by_caller for route, row in ROWS.items()}
    del expected["DELETE /v1/sign-in/session"]  # a token has no sign-in to end
    for role in ROLES:
        caller = Caller.person(app, factories.make_person(organization, role, name=role))
        caller.headers |= CONSOLE_HEADERS
        for route, by_caller in expected.items():
            response = call(caller, route, names)
            assert str(response.status_code) == by_caller[f"{role} by cookie"], (role, route)
            if by_caller["reviewer"] != "403" == str(response.status_code):
                assert response.json["code"] == "insufficient_role", (role, route)


def test_keys_are_masked_without_write_scope(names, reader, reviewer, key):
    """With the key, a reader could act as the candidate (R33)."""
    publish_new()
    expected = {
        "GET /v1/assessments/<assessment_id>/keys",
        *("GET /v1/candidates", "GET /v1/candidates/export", "GET /v1/candidates/<candidate_id>"),
    }
    reads = {route: row for route, row in ROWS.items() if route.startswith("GET") and "consent" not in route}
    routes_with_key = {reader: set(), reviewer: set()}
    for route, row in reads.items():
        _, path = fill(route, names | {"name": "start.js"}).split(" ")
        query = fill(row.query, names)
        for caller, routes in routes_with_key.items():
            if key.key in caller.get(path, **query).text:
                routes.add(route)
    assert routes_with_key == {reader: set(), reviewer: expected}


def test_changes_require_write_scope():
    reviewer_operations = [
        operation for operation in every_operation() if "reviewerToken" in operation.callers
    ]
    changes = [operation for operation in reviewer_operations if operation.method != "GET"]
    read_scope = {operation.route for operation in changes if operation.scope == "read"}
    assert read_scope == READ_SCOPE_CHANGES, "Set these operations' `scope` to `write` or `admin`."


def test_all_changes_of_a_resource_require_the_same_scope():
    by_resource = defaultdict(set)
    for operation in every_operation():
        is_change = operation.method != "GET" and operation.route not in ERASURE
        if is_change and operation.scope in ("write", "admin"):
            by_resource[operation.path.split("/")[2]].add(operation.scope)
    mixed = {resource for resource, scopes in by_resource.items() if len(scopes) > 1}
    assert mixed == set(), "Set the `scope` of all changes to `write`, or all to `admin`."
    for_admins = {resource for resource, scopes in by_resource.items() if scopes == {"admin"}}
    assert for_admins >= {"org", "webhooks"}


def test_candidates_can_call_only_shared_reviewer_operations():
    routes = {operation.route for operation in every_operation() if "candidateKey" in operation.callers}
    assert {route for route in routes if not route.split(" ")[1].startswith(CANDIDATE_PREFIXES)} == SHARED


def test_references_in_the_body_are_checked_after_the_path(names, reviewer, neighbour):
    """Unknown rows in the path are a 404; unknown and other organizations' rows in the body are a 400 (R5, R8)."""
    with_references = [
        operation
        for operation in operations()
        if operation.references and "reviewerToken" in operation.callers
    ]
    assert len(with_references) >= 3
    references = {
        operation.body[field].strip("<>") for operation in with_references for field in operation.references
    }
    other_org_ids = {name: names[name] for name in names.keys() - references}
    # A new assessment's body can refer to another assessment.
    other_org_ids["assessment_id"] = factories.make_assessment(neighbour.row.organization).id
    other_org_ids = create_missing(neighbour, other_org_ids)
    for operation in with_references:
        for field in operation.references:
            for row_id in (new_id(), fill(operation.body[field], other_org_ids)):
                reference = {field: str(row_id)}
                response = call(reviewer, operation.route, names, **reference)
                assert error_paths(response) == [[field]], operation
                for name in re.findall(r"<(\w+_id)>", operation.route):
                    response = call(reviewer, operation.route, names | {name: new_id()}, **reference)
                    assert error_of(response) == (404, "not_found"), operation
