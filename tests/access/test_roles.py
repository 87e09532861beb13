"""The operations that each role allows (R41)."""

import factories
import pytest
from callers import Caller

from models import db
from rules.roles import ROLES
from tests.access.rows import ERASURE, FOR_ADMINS, ROWS, fill


def expected_status(role, route, statuses):
    """The status for a person with a token that may write, from those of services."""
    method, path = route.split(" ")
    if "/scores/<criterion>" in route and method != "PUT" and role != "observer":
        return "404"  # it is the service's score
    if role == "admin" or statuses["reader"] == statuses["reviewer"]:
        return statuses["reviewer"]
    is_for_admins = route == ERASURE or (method != "GET" and path.startswith(FOR_ADMINS))
    return statuses["reviewer"] if role == "reviewer" and not is_for_admins else "403"


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_allows(app, organization, names, role):
    person = Caller.person(app, factories.make_person(organization, role))
    found, expected = {}, {}
    for route, row in ROWS.items():
        if " /v1/" not in route:
            continue
        statuses = row.by_caller
        method, path = fill(route, names).split(" ")
        request = {"query_string": fill(row.query, names), "json": fill(row.body, names)}
        with db.atomic() as undone, person.request(method, path, **request) as response:
            found[route] = str(response.status_code)
            if found[route] == "403" != statuses["reviewer"]:
                assert response.json["code"] == "insufficient_role", route
            undone.rollback()
        expected[route] = expected_status(role, route, statuses)
    assert found == expected, "Set `scope` of the operation, or FOR_ADMINS in tests/access/rows.py."
