"""Conditional requests with ETags."""

import re
from functools import partial

from response_checks import error_of

from models import AuditEntry, CandidateKey
from tests.hostile.operations import DOCUMENT, every_operation, fill, operations

TAG = re.compile(r'"[0-9a-f]{32}"')


def test_every_get_of_one_resource_has_an_etag(app):
    gets = [
        rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and rule.rule.startswith("/v1/")
    ]
    views = {
        rule.rule: app.view_functions[rule.endpoint] for rule in gets if re.search("<id:\\w+_id>$", rule.rule)
    }
    assert len(views) >= 5
    missing = [path for path, view in views.items() if not hasattr(view, "header_parameters")]
    assert missing == [], "Add @etags.with_etag below @auth.required."


def test_a_repeated_get_is_304(reviewer, names, clock):
    gets = [
        operation
        for operation in operations()
        if operation.method == "GET" and "304" in DOCUMENT["paths"][operation.path]["get"]["responses"]
    ]
    assert len(gets) >= 10
    for operation in gets:
        path = fill(operation.route, names).removeprefix("GET ")
        first = reviewer.get(path)
        tag = first.headers["ETag"]
        assert TAG.fullmatch(tag), path
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = reviewer.request("GET", path, headers={"If-None-Match": header})
            assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag), path
            assert "Content-Type" not in response.headers
        for header in ('"x"', "", f'"{tag}'):
            assert reviewer.request("GET", path, headers={"If-None-Match": header}).json == first.json


def test_a_304_is_audited_and_an_error_has_no_etag(reviewer, session):
    path = f"/v1/sessions/{session.id}"
    tag = reviewer.get(path).headers["ETag"]
    before = AuditEntry.select().count()
    assert reviewer.request("GET", path, headers={"If-None-Match": tag}).status_code == 304
    assert AuditEntry.select().count() == before + 1
    response = reviewer.request(
        "GET", f"/v1/sessions/{session.assessment_id}", headers={"If-None-Match": "*"}
    )
    assert response.status_code == 404
    assert "ETag" not in response.headers


def test_every_patch_is_conditional(reviewer, names):
    patches = [
        operation
        for operation in every_operation()
        if operation.method == "PATCH" and operation.body is not None
    ]
    assert len(patches) >= 7
    for operation in patches:
        path = fill(operation.route, names).removeprefix("PATCH ")
        tag = reviewer.get(path).headers.get("ETag")
        assert tag, f"{operation}: decorate the GET for the same path with @etags.with_etag."
        rejected = dict.fromkeys(('"x"', f"W/{tag}", "", tag.strip('"') + "x"), 412)
        for header, status in (rejected | dict.fromkeys((tag, f'"x", {tag}', "*"), 200)).items():
            response = reviewer.request("PATCH", path, headers={"If-Match": header}, json={})
            assert response.status_code == status, (operation, header)
            assert response.headers.get("ETag") == (tag if status == 200 else None), (operation, header)


def test_an_outdated_decision_is_rejected(reviewer, key):
    path = f"/v1/candidates/{key.id}"
    tag = reviewer.get(path).headers["ETag"]
    decide = partial(reviewer.request, "PUT", f"{path}/decision", headers={"If-Match": tag})
    accepted = decide(json={"decision": "advanced"})
    assert accepted.headers["ETag"] == reviewer.get(path).headers["ETag"] != tag
    assert error_of(decide(json={"decision": "rejected"})) == (412, "precondition_failed")
    assert CandidateKey.get_by_id(key.id).decision == "advanced"
