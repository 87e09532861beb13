"""Responses match the OpenAPI document."""

import factories
import pytest
from jsonschema import Draft202012Validator

from models import sessions
from tests.access.rows import call
from tests.hostile.operations import DOCUMENT, operations

HTTP_HEADERS = {
    "Content-Type",
    "Content-Length",
    "Cache-Control",
    "Vary",
    "Set-Cookie",
    "X-Content-Type-Options",
}


def check(operation, response):
    """Check a response's status, headers and body."""
    responses = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
    documented = responses.get(str(response.status_code))
    assert documented, f"{operation}: {response.status_code} {response.text} is not documented: use @raises."
    undocumented = set(response.headers.keys()) - documented["headers"].keys() - HTTP_HEADERS
    assert undocumented == set(), (
        f"{operation}: add these to the view's `success_headers` (blueprints/response_headers.py)."
    )
    if response.mimetype == "application/json":
        schema = documented["content"]["application/json"]["schema"]
        Draft202012Validator(DOCUMENT | schema).validate(response.json)


@pytest.mark.parametrize("state", ["open", "completed"])
def test_responses_match_the_document(names, reviewer, reader, candidate, neighbour, session, state):
    if state == "completed":
        factories.make_model_call(session, None, status_code=529)
        sessions.complete(session)
    for operation in operations():
        for caller in (reviewer, reader, candidate, neighbour):
            check(operation, call(caller, operation.route, names))
