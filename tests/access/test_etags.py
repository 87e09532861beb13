"""Conditional requests: ETag with If-None-Match and If-Match, and Location."""

import re
from functools import partial

import factories
import pytest
from response_checks import body_of, error_of

from models import AuditEntry, CandidateKey
from tests.hostile.operations import every_operation, fill

TAG = re.compile(r'"[0-9a-f]{32}"')


def is_one_resource(rule):
    return "GET" in rule.methods and rule.rule.startswith("/v1/") and rule.rule.endswith("_id>")


def test_every_get_of_one_resource_has_an_etag(app):
    views = {
        rule.rule: app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        if is_one_resource(rule)
    }
    assert len(views) >= 5
    lacking = [
        rule for rule, view in views.items() if "<id:" in rule and not hasattr(view, "header_parameters")
    ]
    assert lacking == [], "Add @etags.with_etag below @auth.required."


@pytest.fixture
def paths(organization, assessment, session):
    ids = factories.make_settings(organization)
    return {
        f"/v1/assessments/{assessment.id}": {"expiresInDays": 30},
        f"/v1/assessments/{assessment.id}/task": None,
        f"/v1/rubrics/{factories.make_rubric(organization).id}": {"name": "Other"},
        f"/v1/issues/{factories.make_issue(organization).id}": None,
        f"/v1/webhooks/{ids['webhook_id']}": None,
        f"/v1/sessions/{session.id}": None,
        f"/v1/assessments/{assessment.id}/results": None,
        f"/v1/candidates/{session.key_id}": {"candidateName": "Bob"},
        "/v1/org": None,
        "/v1/org/settings": None,
    }


def test_a_repeated_get_is_304_until_the_resource_changes(reviewer, paths):
    for path, change in paths.items():
        first = reviewer.get(path)
        tag = first.headers["ETag"]
        assert TAG.fullmatch(tag), path
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = reviewer.request("GET", path, headers={"If-None-Match": header})
            assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag), (
                path,
                header,
            )
            assert "Content-Type" not in response.headers
        for header in ('"x"', "", f'"{tag}'):
            assert reviewer.request("GET", path, headers={"If-None-Match": header}).json == first.json
        if change:
            changed = reviewer.patch(path, change)
            assert changed.headers["ETag"] != tag
            again = reviewer.request("GET", path, headers={"If-None-Match": tag})
            assert (again.status_code, again.headers["ETag"]) == (200, changed.headers["ETag"]), path


def test_a_304_is_a_recorded_read_and_an_error_has_no_etag(reviewer, session):
    path = f"/v1/sessions/{session.id}"
    tag = reviewer.get(path).headers["ETag"]
    before = AuditEntry.select().count()
    assert reviewer.request("GET", path, headers={"If-None-Match": tag}).status_code == 304
    assert AuditEntry.select().count() == before + 1
    missing = reviewer.request("GET", f"/v1/sessions/{session.assessment_id}", headers={"If-None-Match": "*"})
    assert missing.status_code == 404
    assert "ETag" not in missing.headers


def test_a_change_is_rejected_unless_if_match_names_the_present_state(reviewer, paths, key):
    changes = {path: change for path, change in paths.items() if change}
    for path, change in changes.items():
        tag = reviewer.get(path).headers["ETag"]
        other = {name: 29 if value == 30 else f"{value} two" for name, value in change.items()}
        for header in ('"x"', f"W/{tag}", "", tag.strip('"') + "x"):
            rejected = reviewer.request("PATCH", path, headers={"If-Match": header}, json=other)
            assert error_of(rejected) == (412, "precondition_failed"), (path, header)
            assert "ETag" not in rejected.headers
        accepted = reviewer.request("PATCH", path, headers={"If-Match": f'"x", {tag}'}, json=other)
        assert accepted.headers["ETag"] != tag
        stale = reviewer.request("PATCH", path, headers={"If-Match": tag}, json=change)
        assert error_of(stale) == (412, "precondition_failed"), path
        assert reviewer.request("PATCH", path, headers={"If-Match": "*"}, json=change).status_code == 200
    assert CandidateKey.get_by_id(key.id).candidate_name == "Bob"
    entries = AuditEntry.select().where(AuditEntry.action.startswith("change"))
    assert entries.count() == 2 * len(changes)  # none for a rejected change


def test_every_patch_is_conditional(reviewer, names):
    patches = [each for each in every_operation() if each.method == "PATCH" and each.body is not None]
    assert len(patches) >= 7
    for operation in patches:
        path = fill(operation.route, names).removeprefix("PATCH ")
        tag = reviewer.get(path).headers.get("ETag")
        assert tag, f"{operation}: decorate the GET of the same path with @etags.with_etag."
        for header, status in ('"x"', 412), (tag, 200), ("*", 200):
            response = reviewer.request("PATCH", path, headers={"If-Match": header}, json={})
            assert response.status_code == status, (operation, header)


def test_a_decision_is_replaced_only_if_it_was_seen(reviewer, key):
    path = f"/v1/candidates/{key.id}"
    tag = reviewer.get(path).headers["ETag"]
    decide = partial(reviewer.request, "PUT", f"{path}/decision", headers={"If-Match": tag})
    accepted = decide(json={"decision": "advanced"})
    assert accepted.headers["ETag"] == reviewer.get(path).headers["ETag"] != tag
    assert error_of(decide(json={"decision": "rejected"})) == (412, "precondition_failed")
    assert CandidateKey.get_by_id(key.id).decision == "advanced"


def test_location_leads_to_what_was_created(reviewer):
    bodies = {
        "/v1/assessments": {"title": "One", "role": "Engineer", "taskBrief": "Fix it."},
        "/v1/issues": {"title": "One", "taskBrief": "Fix it."},
        "/v1/webhooks": {"url": "https://example.com/hook"},
    }
    for path, body in bodies.items():
        headers = {"Idempotency-Key": f"create {path}".replace(" ", "-")}
        created, replayed = (reviewer.request("POST", path, headers=headers, json=body) for _ in range(2))
        location = created.headers["Location"]
        assert replayed.headers["Location"] == location
        (noun, found), *_ = body_of(reviewer.get(location)).items()
        assert found["id"] == body_of(created, 201)[noun]["id"]
        assert location == f"{path}/{found['id']}"
