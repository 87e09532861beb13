"""Every route, called by every kind of caller, and its documentation (tests/access/rows.py)."""

import re

import factories
import pytest
from callers import Caller

from blueprints import openapi
from models import db
from schemas.base import camel
from tests.access.rows import CALLERS, ROWS, fill


@pytest.fixture
def callers(app, organization, reviewer, reader, candidate, neighbour, anonymous):
    other_key = factories.make_key(factories.make_assessment(organization))
    factories.make_session(other_key)
    revoked = Caller.reviewer(app, organization)
    revoked.row.revoke()
    return reviewer, reader, candidate, Caller.candidate(app, other_key), neighbour, revoked, anonymous


def test_who_may_call(names, callers):
    statuses = {}
    for route, row in ROWS.items():
        file = "swagger-ui.css" if "/docs/" in route else "start.js"
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
