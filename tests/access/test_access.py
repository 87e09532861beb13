"""Every route, called by every kind of caller, and its documentation (tests/access/rows.py)."""

import re

import factories
import pytest
from callers import CONSOLE_HEADERS, Caller

from blueprints import openapi
from models import db
from models.webhooks.outbox import publish_new
from rules.roles import ROLES
from schemas.base import camel
from tests.access.rows import CALLERS, READ, ROWS, Row, fill


@pytest.fixture
def callers(app, organization, reviewer, reader, candidate, neighbour, anonymous):
    other_key = factories.make_key(factories.make_assessment(organization))
    factories.make_session(other_key)
    revoked = Caller.reviewer(app, organization)
    revoked.row.revoke()
    people = [factories.make_person(organization, role, name=role) for role in ROLES]
    cookies = [Caller.signed_in(app, person) for person in people]
    elsewhere = {"Origin": "https://foreign.example", "Sec-Fetch-Site": "cross-site"}
    foreign = Caller.signed_in(app, people[0], **elsewhere)
    outsider = Caller.candidate(app, other_key)
    return reviewer, reader, candidate, outsider, neighbour, revoked, anonymous, *cookies, foreign


FILES = {
    "GET /console/<name>": "app.js",
    "GET /docs/<name>": "swagger-ui.css",
    "GET /docs/<name>.md": "errors",
    "GET /docs/images/<name>": "start.png",
}


@pytest.mark.any_database
def test_who_may_call(names, callers):
    statuses = {}
    for route, row in ROWS.items():
        file = FILES.get(route, "start.js")
        method, path = fill(route, names | {"name": file}).split(" ")
        request = {"query_string": fill(row.query, names), "json": fill(row.body, names)}
        statuses[route] = {}
        for name, caller in zip(CALLERS, callers, strict=True):
            with db.atomic() as undone, caller.request(method, path, **request) as response:
                statuses[route][name] = str(response.status_code)
                undone.rollback()
    assert statuses == {route: row.by_caller for route, row in ROWS.items()}


@pytest.mark.any_database
def test_a_sign_in_may_do_what_the_persons_token_may(app, names, organization):
    """The cookie is one more credential of the same person: it adds no permission and loses none."""
    expected = {route: row.by_caller for route, row in ROWS.items()}
    del expected["DELETE /v1/sign-in/session"]  # a token has no sign-in to end
    for role in ROLES:
        caller = Caller.person(app, factories.make_person(organization, role, name=role))
        caller.headers |= CONSOLE_HEADERS
        for route, by_caller in expected.items():
            file = FILES.get(route, "start.js")
            method, path = fill(route, names | {"name": file}).split(" ")
            request = {"query_string": fill(ROWS[route].query, names), "json": fill(ROWS[route].body, names)}
            with db.atomic() as undone, caller.request(method, path, **request) as response:
                assert str(response.status_code) == by_caller[f"{role} by cookie"], (role, route)
                undone.rollback()


@pytest.mark.any_database
def test_only_tokens_that_may_write_see_keys(names, reader, reviewer, key):
    """R33: with the key, a reader could act as the candidate."""
    publish_new()
    shows = {
        "GET /v1/assessments/<assessment_id>/keys",
        *("GET /v1/candidates", "GET /v1/candidates/export", "GET /v1/candidates/<candidate_id>"),
        "GET /v1/candidates?format=csv",
    }
    reads = {route: row for route, row in ROWS.items() if route.startswith("GET") and "consent" not in route}
    reads["GET /v1/candidates?format=csv"] = Row(READ, query={"format": "csv"})
    shown = {reader: set(), reviewer: set()}
    for route, row in reads.items():
        _, path = fill(route, names | {"name": "start.js"}).split(" ")
        query = fill(row.query, names)
        for caller, routes in shown.items():
            if key.key in caller.get(path.removesuffix("?format=csv"), **query).text:
                routes.add(route)
    assert shown == {reader: set(), reviewer: shows}


@pytest.mark.any_database
def test_every_route_has_a_row(app_on_database):
    routes = {
        f"{method} {re.sub('<[^<>]+:', '<', rule.rule)}"
        for rule in app_on_database.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == ROWS.keys(), "Say in ROWS, in tests/access/rows.py, who may call these."


def test_documented_credentials_are_those_that_are_accepted(app_on_database):
    rows = {
        re.sub(r"<(\w+)>", lambda name: f"{{{camel(name[1])}}}", route): row for route, row in ROWS.items()
    }
    for path, item in openapi.document_of(app_on_database)["paths"].items():
        for method in item.keys() - {"parameters"}:
            documented = {scheme for alternative in item[method]["security"] for scheme in alternative}
            row = rows[f"{method.upper()} {path}"]
            statuses = row.by_caller
            for scheme, caller in {"reviewerToken": "reviewer", "candidateKey": "candidate"}.items():
                is_required = statuses["anonymous"] == "401" != statuses[caller]
                assert (scheme in documented) == is_required, (method, path)
