"""Requests with the documented examples are accepted, and every response is as the OpenAPI document describes it."""

import factories
import pytest
from jsonschema import Draft202012Validator

from models import sessions
from tests.access.rows import call
from tests.hostile.operations import DOCUMENT, fill, operations

HTTP_HEADERS = {
    "Content-Type",
    "Content-Length",
    "Cache-Control",
    "Vary",
    "Set-Cookie",
    "X-Content-Type-Options",
}


def documented(operation):
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


def check(operation, response):
    """Check status, headers and body of a response."""
    responses = documented(operation)["responses"]
    found = responses.get(str(response.status_code))
    assert found, f"{operation}: {response.status_code} {response.text} is not documented: use @raises."
    undocumented = set(response.headers.keys()) - found["headers"].keys() - HTTP_HEADERS
    assert undocumented == set(), (
        f"{operation}: name them in the view's `success_headers`, see blueprints/response_headers.py."
    )
    if response.mimetype == "application/json":
        schema = found["content"]["application/json"]["schema"]
        Draft202012Validator(DOCUMENT | schema).validate(response.json)


@pytest.mark.parametrize("state", ["open", "completed"])
def test_responses_match_the_document(names, reviewer, reader, candidate, neighbour, session, state):
    if state == "completed":
        factories.make_model_call(session, None, status_code=529)
        sessions.complete(session)
    for operation in operations():
        for caller in (reviewer, reader, candidate, neighbour):
            check(operation, call(caller, operation.route, names))


def test_the_documented_example_of_a_new_object_is_accepted(names, reviewer):
    posts = [each for each in operations() if each.status == 201 and "reviewerToken" in each.callers]
    assert len(posts) > 5
    for operation in posts:
        example = documented(operation)["requestBody"]["content"]["application/json"]["example"]
        response = reviewer.post(fill(operation.route, names).removeprefix("POST "), example)
        assert response.status_code == 201, (operation, response.text)
