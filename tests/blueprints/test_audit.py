"""Who did what: every change and every reading of a candidate's record, by ids, in a chain that can be checked."""

import json
from datetime import timedelta

import pytest
from answers import places, refusal
from factories import make_assessment, make_key, make_session

from delivery.worker import Worker
from models import ApiToken, AuditChain, AuditEntry, Consent, audit, sessions

PATH = "/v1/audit"
# Readings that are not of one candidate's record.
NO_RECORD = {"/v1/sessions/<id:session_id>/cohort-stats"}


def entries(reviewer, **query):
    answer = reviewer.get(PATH, **query)
    assert answer.status_code == 200, answer.json
    return answer.json["entries"]


def actions(reviewer, **query):
    return [entry["action"] for entry in entries(reviewer, **query)]


def views(app):
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        yield rule, view, *getattr(view, "access", (None, None))


# What is noted


def test_every_operation_that_takes_a_write_token_is_noted(app_on_database):
    missing = [
        str(rule)
        for rule, view, kinds, scope in views(app_on_database)
        if scope == "write" and kinds is ApiToken and not getattr(view, "is_audited", False)
    ]
    assert missing == []


def test_every_reading_of_a_session_is_noted(app_on_database):
    missing = [
        str(rule)
        for rule, view, _, _ in views(app_on_database)
        if str(rule).startswith(("/v1/sessions/<", "/v1/candidates/<"))
        and not getattr(view, "is_audited", False)
    ]
    assert set(missing) == NO_RECORD


def test_a_change_says_who_what_on_what_when_from_where(clock, reviewer, assessment):
    reviewer.request(
        "PATCH",
        f"/v1/assessments/{assessment.id}",
        json={"title": "Other", "role": "Other"},
        headers={"X-Request-Id": "req-1"},
    )
    (entry,) = entries(reviewer)
    assert entry == {
        "id": entry["id"],
        "action": "changeAssessment",
        "actorKind": "reviewer",
        "actorId": str(reviewer.row.id),
        "actorName": "A reviewer who may write",
        "subjectKind": "assessment",
        "subjectId": str(assessment.id),
        "furtherIds": [],
        "members": ["role", "title"],
        "cameFrom": "127.0.0.1",
        "requestId": "req-1",
        "createdAt": "2026-04-01T09:00:00.000Z",
        "position": None,
        "hash": None,
    }


@pytest.mark.parametrize("given", ["", "with space", "x" * 129, "ünïcode"])
def test_a_strange_request_id_is_replaced(reviewer, assessment, given):
    reviewer.request("DELETE", f"/v1/assessments/{assessment.id}", headers={"X-Request-Id": given})
    assert entries(reviewer)[0]["requestId"] not in (None, given)


def test_what_came_of_it_is_noted(reviewer, assessment):
    body = {"count": 2, "candidateEmails": ["a@example.com", "b@example.com"]}
    keys = reviewer.post(f"/v1/assessments/{assessment.id}/keys", body).json["keys"]
    (entry,) = entries(reviewer)
    assert (entry["action"], entry["subjectId"]) == ("issueKeys", str(assessment.id))
    assert entry["furtherIds"] == [key["id"] for key in keys]
    created = reviewer.post("/v1/assessments", {"title": "One", "role": "Two", "taskBrief": "Three"}).json
    assert entries(reviewer)[0]["subjectId"] == created["assessment"]["id"]


def test_what_is_refused_is_not_noted(reviewer, reader, neighbour, assessment, key):
    reviewer.patch(f"/v1/candidates/{key.id}", {"hired": True})
    reviewer.patch(f"/v1/assessments/{assessment.id}", {"title": ""})
    reader.delete(f"/v1/assessments/{assessment.id}")
    neighbour.delete(f"/v1/assessments/{assessment.id}")
    assert AuditEntry.select().count() == 0


def test_a_record_that_is_read_is_noted_and_a_list_is_not(reader, reviewer, assessment, session):
    for path in ("/v1/sessions", "/v1/candidates", f"/v1/assessments/{assessment.id}/cohort-stats"):
        reader.get(path)
    assert entries(reviewer) == []
    for what in ("", "/timeline", "/export", "/integrity", "/scores"):
        assert reader.get(f"/v1/sessions/{session.id}{what}").status_code in (200, 409)
    found = entries(reviewer, subjectId=str(session.id))
    assert "getSession" in [entry["action"] for entry in found]
    assert {entry["actorName"] for entry in found} == {"A reviewer who may read"}
    reader.get("/v1/candidates", format="csv").get_data()
    assert actions(reviewer)[0] == "exportCandidates"


def test_a_candidate_who_reads_the_own_session_is_not_noted(candidate, reviewer, session):
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 200
    assert entries(reviewer) == []


def test_what_a_candidate_does_is_noted_without_a_network_address(anonymous, reviewer, key):
    Consent.give(key, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": key.key}).json
    anonymous.post("/v1/candidate/complete", {"key": key.key, "sessionId": redeemed["sessionId"]})
    completed, began = entries(reviewer)
    assert (began["action"], completed["action"]) == ("redeem", "complete")
    assert (began["actorKind"], began["actorId"], began["cameFrom"]) == ("candidate", str(key.id), None)


def test_no_entry_has_a_name_or_an_address(reviewer, key):
    reviewer.patch(
        f"/v1/candidates/{key.id}", {"candidateName": "Zebulon", "candidateEmail": "z@example.com"}
    )
    text = reviewer.get(PATH).text
    assert "Zebulon" not in text
    assert "example.com" not in text


# Reading it


def test_the_log_is_filtered_and_comes_in_pages(clock, reviewer, organization):
    for _ in range(3):
        reviewer.delete(f"/v1/assessments/{make_assessment(organization).id}")
        clock.fixed += timedelta(hours=1)
    make = {"title": "One", "role": "Two", "taskBrief": "Three"}
    reviewer.post("/v1/assessments", make)
    assert actions(reviewer) == ["createAssessment", *["deleteAssessment"] * 3]
    assert actions(reviewer, action="createAssessment") == ["createAssessment"]
    assert len(actions(reviewer, since="2026-04-01T10:00:00Z", until="2026-04-01T12:00:00Z")) == 2
    page = reviewer.get(PATH, limit=2, offset=3).json
    assert (len(page["entries"]), page["total"]) == (1, 4)
    assert actions(reviewer, actorId=str(reviewer.row.id)) != []
    assert actions(reviewer, actorId="00000000-0000-7000-8000-000000000000") == []
    assert places(reviewer.get(PATH, since="yesterday")) == [["since"]]


def test_the_log_as_a_file_has_all_of_it(reviewer, organization, monkeypatch):
    monkeypatch.setattr("models.batches.MAX_ROWS", 2)
    for _ in range(5):
        reviewer.delete(f"/v1/assessments/{make_assessment(organization).id}")
    answer = reviewer.get(PATH, format="jsonl", limit=1)
    assert answer.mimetype == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == list(reversed(entries(reviewer)))
    assert len(lines) == 5


def test_a_neighbour_sees_the_own_log_only(reviewer, neighbour, assessment):
    reviewer.delete(f"/v1/assessments/{assessment.id}")
    assert entries(neighbour) == []


def test_nobody_else_reads_it(candidate, anonymous):
    assert refusal(candidate.get(PATH)) == (401, "unauthorized")
    assert refusal(anonymous.get(PATH)) == (401, "unauthorized")


# The chain


@pytest.fixture
def log(app, reviewer, organization, neighbour):
    """Four chained entries of the organization and one of the neighbour's."""
    for _ in range(4):
        reviewer.delete(f"/v1/assessments/{make_assessment(organization).id}")
    neighbour.patch("/v1/org/settings", {"retentionDays": 90})
    assert audit.chain_new() == 5
    own = AuditEntry.select().where(AuditEntry.organization == organization)
    return list(own.order_by(AuditEntry.position))


def verify(app, *arguments):
    answer = app.test_cli_runner().invoke(args=["audit", "verify", *arguments])
    return answer.exit_code, answer.output


def test_a_whole_log_is_whole(app, log):
    assert [entry.position for entry in log] == [1, 2, 3, 4]
    code, output = verify(app)
    assert code == 0
    assert "Acme: 4 rows chained, 0 waiting" in output
    assert "first broken" not in output


def test_chaining_goes_on_where_it_stopped(app, reviewer, organization, log):
    reviewer.delete(f"/v1/assessments/{make_assessment(organization).id}")
    assert "4 rows chained, 1 waiting" in verify(app, "Acme")[1]
    Worker(app.config).run_once()
    assert verify(app, "Acme") == (0, "Acme: 5 rows chained, 0 waiting\n")
    assert audit.chain_new() == 0


def test_what_is_chained_while_it_looks_breaks_nothing(app, organization, log, monkeypatch):
    def later(own, walk=audit._links):
        AuditEntry.record(organization.id, "later", audit.COMMAND)
        assert audit.chain_new() == 1
        return walk(own)

    monkeypatch.setattr(audit, "_links", later)
    assert verify(app, "Acme") == (0, "Acme: 4 rows chained, 0 waiting\n")


def test_a_row_that_nobody_chained_is_found(app, organization, log):
    AuditEntry.record(organization.id, "forged", audit.COMMAND, position=5, hash=bytes(32))
    code, output = verify(app, "Acme")
    assert code == 1
    assert "first broken: row 5 " in output


@pytest.mark.parametrize(
    "change",
    [
        {"action": "nothing"},
        {"actor_name": "Somebody else"},
        {"members": ["title"]},
        {"came_from": "203.0.113.7"},
        {"hash": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_row_is_named(app, log, change):
    AuditEntry.update(change).where(AuditEntry.id == log[1].id).execute()
    code, output = verify(app, "Acme")
    assert code == 1
    assert f"first broken: row 2 ({log[1].id}), changed" in output


@pytest.mark.parametrize("position", [1, 3, 4])
def test_a_removed_row_is_named(app, log, position):
    AuditEntry.delete().where(AuditEntry.id == log[position - 1].id).execute()
    code, output = verify(app, "Acme")
    assert code == 1
    assert f"first broken: row {position} " in output
    assert "missing" in output


def test_a_chain_without_its_end_is_found(app, log):
    AuditChain.update(head=log[2].hash).where(AuditChain.organization == log[0].organization_id).execute()
    assert "row 4" in verify(app, "Acme")[1]


def test_a_row_that_is_committed_late_is_chained_late(app, reviewer, organization, log):
    AuditEntry.record(
        organization.id, "late", audit.COMMAND, created_at=log[0].created_at - timedelta(hours=1)
    )
    audit.chain_new()
    assert AuditEntry.get(AuditEntry.action == "late").position == 5
    assert verify(app, "Acme")[0] == 0


def test_the_retention_notes_whom_it_erased(app, clock, reviewer, organization):
    organization.update_columns(retention_days=30)
    key = make_key(make_assessment(organization), "z@example.com")
    sessions.close(make_session(key))
    clock.fixed += timedelta(days=31)
    Worker(app.config).run_once()
    (entry,) = entries(reviewer, action="eraseCandidate")
    assert (entry["actorKind"], entry["subjectId"]) == ("worker", str(key.id))


def test_what_is_done_on_the_server_is_noted(app, reviewer, organization):
    app.test_cli_runner().invoke(args=["org", "plan", str(organization.id), "trial"])
    (entry,) = entries(reviewer)
    assert (entry["action"], entry["actorKind"], entry["actorId"]) == ("changePlan", "command", None)
