"""The audit log: entries, list and export. tests/ops/test_ledger.py verifies it.

tests/hostile/test_audit_coverage.py proves that every operation is recorded.
"""

import json
from datetime import timedelta

from factories import make_assessment, make_key, make_session
from response_checks import body_of, error_paths

from delivery.worker import Worker
from models import AuditEntry, Consent, sessions
from tests.access.rows import ROWS

PATH = "/v1/audit"
NEW = {"title": "One", "role": "Two", "taskBrief": "Three"}


def entries(reviewer, **query):
    return body_of(reviewer.get(PATH, **query))["entries"]


def actions(reviewer, **query):
    return [entry["action"] for entry in entries(reviewer, **query)]


def delete_assessment(reviewer):
    assessment = make_assessment(reviewer.row.organization)
    body_of(reviewer.delete(f"/v1/assessments/{assessment.id}"))


def test_a_change_has_one_entry(clock, reviewer, assessment):
    path, body = f"/v1/assessments/{assessment.id}", {"title": "Other", "taskBrief": "Other."}
    reviewer.request("PATCH", path, json=body, headers={"X-Request-Id": "req-1"})
    (entry,) = entries(reviewer)
    assert entry == {
        "id": entry["id"],
        "action": "updateAssessment",
        "actorKind": "apiToken",
        "actorId": str(reviewer.row.id),
        "actorName": "Reviewer with write access",
        "subjectKind": "assessment",
        "subjectId": str(assessment.id),
        "furtherIds": [],
        "bodyFields": ["taskBrief", "title"],
        "cameFrom": "127.0.0.1",
        "requestId": "req-1",
        "createdAt": "2026-04-01T09:00:00.000Z",
    }


def test_body_fields_are_the_known_fields_of_the_request(reviewer, assessment, key):
    requests = (
        ("/v1/assessments", NEW | {"later": 1}, sorted(NEW)),
        (f"/v1/assessments/{assessment.id}/keys", {"count": 1, "orgName": "Acme"}, ["count", "orgName"]),
        ("/v1/rubrics", ROWS["POST /v1/rubrics"].body | {"id": str(key.id)}, ["criteria", "name"]),
        (f"/v1/candidates/{key.id}/allow-redeem", None, []),
    )
    for path, body, fields in requests:
        assert reviewer.post(path, body).status_code in (200, 201), path
        assert entries(reviewer)[0]["bodyFields"] == fields, path


def test_the_subject_is_the_created_row_or_the_last_id_in_the_path(reviewer, assessment):
    keys = reviewer.post(f"/v1/assessments/{assessment.id}/keys", {"count": 2}).json["keys"]
    issue = reviewer.post("/v1/issues", {"title": "Flaky test", "taskBrief": "Fix it."}).json["issue"]
    reviewer.delete(f"/v1/assessments/{assessment.id}/keys/{keys[0]['id']}")
    names = ("action", "subjectKind", "subjectId", "furtherIds")
    assert [tuple(entry[name] for name in names) for entry in entries(reviewer)] == [
        ("revokeKey", "key", keys[0]["id"], []),
        ("createIssue", "issue", issue["id"], []),
        ("issueKeys", "assessment", str(assessment.id), [key["id"] for key in keys]),
    ]


def test_rejected_requests_are_not_recorded(reviewer, reader, neighbour, assessment, key):
    reviewer.patch(f"/v1/candidates/{key.id}", {"hired": True})
    reviewer.patch(f"/v1/assessments/{assessment.id}", {"title": ""})
    reader.delete(f"/v1/assessments/{assessment.id}")
    neighbour.delete(f"/v1/assessments/{assessment.id}")
    assert AuditEntry.select().count() == 0


def test_a_reviewers_read_is_recorded_but_a_candidates_is_not(reader, reviewer, candidate, session):
    for caller in (candidate, reader):
        assert caller.get(f"/v1/sessions/{session.id}").status_code == 200
    (entry,) = entries(reviewer, subjectId=session.id)
    assert (entry["action"], entry["subjectKind"]) == ("getSession", "session")
    assert entry["actorName"] == reader.row.name


def test_candidates_actions_are_recorded_without_their_network_address(anonymous, candidate, reviewer, key):
    candidate.post("/v1/candidate/me/erasure-request")
    Consent.record(key, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": key.key}).json
    body = {"key": key.key, "sessionId": redeemed["sessionId"]}
    completed = anonymous.post("/v1/candidate/complete", body)
    assert entries(reviewer)[0]["requestId"] == completed.headers["X-Request-Id"]
    assert actions(reviewer) == ["completeSession", "redeemKey", "requestErasure"]
    for entry in entries(reviewer):
        assert (entry["actorKind"], entry["actorId"], entry["cameFrom"]) == ("candidate", str(key.id), None)


def test_entries_contain_no_candidate_names_or_email_addresses(reviewer, key):
    person = {"candidateName": "Zebulon", "candidateEmail": "z@example.com"}
    assert reviewer.patch(f"/v1/candidates/{key.id}", person).status_code == 200
    text = reviewer.get(PATH).text
    assert "Zebulon" not in text
    assert "example.com" not in text


def test_retention_and_commands_are_recorded(app, flask, clock, reviewer, organization):
    organization.update_columns(retention_days=30)
    key = make_key(make_assessment(organization), "z@example.com")
    sessions.close(make_session(key))
    clock.fixed += timedelta(days=31)
    Worker(app.config).run_once()
    flask("org", "plan", organization.id, "trial")
    plan, erasure = entries(reviewer)
    assert (plan["action"], plan["actorKind"], plan["actorId"]) == ("changePlan", "command", None)
    assert (erasure["action"], erasure["actorKind"]) == ("eraseCandidate", "worker")
    assert erasure["subjectId"] == str(key.id)


def test_entries_can_be_filtered_and_paged(clock, reviewer, neighbour, organization):
    for _ in range(3):
        delete_assessment(reviewer)
        clock.fixed += timedelta(hours=1)
    reviewer.post("/v1/assessments", NEW)
    assert actions(reviewer) == ["createAssessment", *["deleteAssessment"] * 3]
    assert actions(reviewer, action="createAssessment") == ["createAssessment"]
    assert len(actions(reviewer, since="2026-04-01T10:00:00Z", until="2026-04-01T12:00:00Z")) == 2
    page = reviewer.get(PATH, limit=2, offset=3).json
    assert (len(page["entries"]), page["total"]) == (1, 4)
    assert len(actions(reviewer, actorId=reviewer.row.id)) == 4
    assert actions(reviewer, actorId=organization.id) == []
    assert entries(neighbour) == []
    assert error_paths(reviewer.get(PATH, since="yesterday")) == [["since"]]


def test_the_export_has_all_entries_oldest_first(reviewer, monkeypatch):
    monkeypatch.setattr("models.batches.MAX_ROWS", 2)
    for _ in range(5):
        delete_assessment(reviewer)
    reviewer.post("/v1/assessments", NEW)
    response = reviewer.get(f"{PATH}/export")
    assert response.mimetype == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines == list(reversed(entries(reviewer)))
    assert len(lines) == 6
    filtered = reviewer.get(f"{PATH}/export", action="createAssessment")
    assert json.loads(filtered.text) == lines[5]
