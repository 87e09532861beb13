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
    return reviewer, reader, candidate, Caller.candidate(app, other_key), neighbour, revoked, anonymous


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
        statuses[route] = []
        for caller in callers:
            with db.atomic() as undone, caller.request(method, path, **request) as response:
                statuses[route].append(str(response.status_code))
                undone.rollback()
    assert {route: " ".join(codes) for route, codes in statuses.items()} == {
        route: row.statuses for route, row in ROWS.items()
    }


@pytest.mark.any_database
def test_a_sign_in_may_do_what_the_persons_token_may_and_a_foreign_page_nothing(app, names, organization):
    """By cookie: a column for each role, and one for a page of another origin with an admin's cookie."""
    people = [factories.make_person(organization, role, name=role) for role in ROLES]
    tokens = [Caller.person(app, person) for person in people]
    cookies = [Caller.signed_in(app, person) for person in people]
    foreign = Caller.signed_in(
        app, people[0], Origin="https://foreign.example", **{"Sec-Fetch-Site": "cross-site"}
    )
    anonymous = Caller(app)
    for token in tokens:
        token.headers |= CONSOLE_HEADERS
    for route, row in ROWS.items():
        method, path = fill(route, names | {"name": FILES.get(route, "start.js")}).split(" ")
        request = {"query_string": fill(row.query, names), "json": fill(row.body, names)}
        statuses = []
        for caller in (*tokens, *cookies, foreign, anonymous):
            with db.atomic() as undone, caller.request(method, path, **request) as response:
                statuses.append(response.status_code)
                undone.rollback()
        by_token, by_cookie, (from_abroad, without) = statuses[:3], statuses[3:6], statuses[6:]
        accepts_tokens = without == 401 and by_token[0] != 401
        if route == "DELETE /v1/sign-in/session":  # a token has no sign-in to end
            assert (by_token, by_cookie) == ([404] * 3, [200] * 3)
        else:
            assert by_cookie == by_token, route
        assert from_abroad == (403 if accepts_tokens else without), route


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
            statuses = dict(zip(CALLERS, row.statuses.split(), strict=True))
            for scheme, caller in {"reviewerToken": "reviewer", "candidateKey": "candidate"}.items():
                is_required = statuses["anonymous"] == "401" != statuses[caller]
                assert (scheme in documented) == is_required, (method, path)
