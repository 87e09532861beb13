"""Unknown query parameters and body fields, and objects that are sent back (R12, R35)."""

from datetime import timedelta

import pytest
from response_checks import body_of, error_of, error_paths

from tests.access.rows import ROWS, call
from tests.hostile.operations import fill, operations

SPECIFIED = {
    "POST /v1/assessments",
    "GET /v1/assessments",
    "GET /v1/assessments/<assessment_id>",
    "DELETE /v1/assessments/<assessment_id>",
    "POST /v1/assessments/<assessment_id>/keys",
    "GET /v1/assessments/<assessment_id>/keys",
    "DELETE /v1/assessments/<assessment_id>/keys/<key_id>",
    "GET /v1/assessments/<assessment_id>/cohort-stats",
    "GET /v1/candidates",
}
REVIEWER_ROUTES = {operation.route for operation in operations() if "reviewerToken" in operation.callers}
REJECTING = REVIEWER_ROUTES - SPECIFIED
NEW_RUBRIC = ROWS["POST /v1/rubrics"].body
BRIEF = {"scenario": "Orders disappear.", "codebase": {"name": "orders", "stak": ["Go"]}}


@pytest.mark.parametrize("field", [None, "later"])
def test_reviewer_operations_outside_the_specification_reject_unknown_names(
    names, reviewer, candidate, field
):
    for route in ROWS:
        if field and route.startswith("GET"):
            continue
        query, fields = ({}, {field: 1}) if field else ({"later": 1}, {})
        valid = call(reviewer, route, names)
        response = call(reviewer, route, names, query, **fields)
        if route in REJECTING:
            code = "invalid_request" if field else "unknown_parameter"
            assert error_of(response) == (400, code), route
            assert field is None or response.json["details"][0]["path"] == ["later"], route
            assert field or "`later`" in response.json["error"], route
        else:
            assert response.status_code == valid.status_code, route
            is_reported = route in SPECIFIED and not (field and route.startswith("DELETE"))
            assert response.headers.get("X-Ignored") == ("later" if is_reported else None), route
        candidate_responses = call(candidate, route, names), call(candidate, route, names, query, **fields)
        assert len({response.status_code for response in candidate_responses}) == 1, route


def test_authentication_precedes_unknown_names(anonymous, reader):
    assert error_of(anonymous.get("/v1/rubrics", later=1)) == (401, "unauthorized")
    body = NEW_RUBRIC | {"later": 1}
    assert error_of(reader.request("POST", "/v1/rubrics?later=1", json=body)) == (403, "insufficient_scope")
    assert error_of(reader.get("/v1/rubrics/none", later=1)) == (400, "unknown_parameter")
    assert error_of(reader.get("/v1/rubrics/none")) == (404, "not_found")


def test_an_error_suggests_the_nearest_known_name(reviewer):
    response = reviewer.get("/v1/issues", dificulty="easy", ofset=1)
    assert response.json["error"] == (
        "Unknown query parameter `dificulty`. Did you mean `difficulty`? "
        "Unknown query parameter `ofset`. Did you mean `offset`?"
    )
    response = reviewer.get("/v1/org", later=1)
    assert response.json["error"] == "Unknown query parameter `later`. This operation accepts none."
    criterion = NEW_RUBRIC["criteria"][0] | {"wieght": 2}
    response = reviewer.post("/v1/rubrics", NEW_RUBRIC | {"criteria": [criterion]})
    assert error_paths(response) == [["criteria", 0, "wieght"]]
    assert response.json["details"][0]["message"] == "Unknown field. Did you mean `weight`?"


def test_ignored_names_are_reported_even_in_rejected_requests(reviewer):
    body = {"titel": "Backend", "role": "Engineer", "taskBrief": "Fix it.", "brief": BRIEF, "x y": 1, "ü": 1}
    response = reviewer.request("POST", "/v1/assessments?dry=1", json=body)
    assert error_paths(response) == [["title"]]
    assert response.headers["X-Ignored"] == "dry, titel, brief.codebase.stak"
    for _ in ("first", "replay"):
        headers = {"Idempotency-Key": "one"}
        complete = body | {"title": "Backend"}
        response = reviewer.request("POST", "/v1/assessments", json=complete, headers=headers)
        assert response.headers["X-Ignored"] == "titel, brief.codebase.stak"
    response = reviewer.get("/v1/candidates", **{f"name-{number:02}": 1 for number in range(30)})
    assert response.headers["X-Ignored"].split(", ") == [f"name-{number:02}" for number in range(20)]
    assert "X-Ignored" not in reviewer.get("/v1/candidates", limit=1).headers


PATCHES = [route for route in ROWS if route.startswith("PATCH /v1") and "proxy" not in route]
OTHER_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"


def read_only_fields(response):
    assert error_of(response) == (400, "read_only_field")
    return [name for detail in response.json["details"] for name in detail["path"]]


@pytest.mark.parametrize("route", PATCHES)
def test_updating_a_read_only_field_is_rejected(reviewer, names, route):
    path = fill(route, names).removeprefix("PATCH ")
    (current,) = body_of(reviewer.patch(path, {})).values()
    read_only = current.keys() & {"id", "orgId", "status", "disclosureHash"}
    assert read_only, "Add one of this object's read-only fields."
    for name in read_only:
        response = reviewer.patch(path, {name: OTHER_ID})
        assert read_only_fields(response) == [name]
        assert f"`{name}`" in response.json["error"]
        (unchanged,) = body_of(reviewer.patch(path, {name: current[name]})).values()
        assert unchanged[name] == current[name]


def test_status_is_read_only_and_timestamps_and_masked_keys_are_ignored(reviewer, reader, key):
    path = f"/v1/candidates/{key.id}"
    for name, value in (("status", "hired"), ("decision", "hired"), ("sessionId", OTHER_ID)):
        response = reviewer.patch(path, {name: value, "candidateName": "Changed"})
        assert read_only_fields(response) == [name]
    masked = body_of(reader.get(path))["candidate"]
    assert masked["candidateName"] != "Changed"
    body = masked | {"createdAt": "2020-01-01T00:00:00.000Z", "invite": None}
    assert body_of(reviewer.patch(path, body))["candidate"]["createdAt"] == masked["createdAt"]


def test_if_match_is_checked_before_read_only_fields(reviewer, key):
    path = f"/v1/candidates/{key.id}"
    tag = reviewer.get(path).headers["ETag"]
    for header, expected in (('"other"', (412, "precondition_failed")), (tag, (400, "read_only_field"))):
        headers = {"If-Match": header}
        response = reviewer.request("PATCH", path, json={"status": "hired"}, headers=headers)
        assert error_of(response) == expected


@pytest.mark.parametrize("route", [*PATCHES, "PUT /v1/candidates/<candidate_id>/accommodation"])
def test_an_object_can_be_sent_back_unchanged(reviewer, names, clock, route):
    method, path = fill(route, names).split(" ")
    before = body_of(reviewer.get(path))
    ((noun, row),) = before.items()
    clock.fixed += timedelta(seconds=1)
    for unchanged in (row, {} if method == "PATCH" else row):
        body_of(reviewer.request(method, path, json=unchanged))
        assert body_of(reviewer.get(path)) == before
    assert error_paths(reviewer.request(method, path, json=before))[0] == [noun]
