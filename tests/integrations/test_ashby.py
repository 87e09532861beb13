"""Ashby's webhooks and API. What its documentation leaves open works either way."""

import hmac
import json

import pytest

from integrations.adapter import (
    Application,
    CredentialRejected,
    Hint,
    Job,
    RateLimit,
    Rejected,
    Stage,
    TemporaryFailure,
)
from integrations.systems import ashby
from tests.integrations.system_server import serving, store_integration

INFO, CANDIDATE, NOTES = "POST /application.info", "POST /candidate.info", "POST /candidate.listNotes"
JOBS, PLANS, STAGES = "POST /job.list", "POST /interviewPlan.list", "POST /interviewStage.list"
EMAIL = {"primaryEmailAddress": {"value": "ada@example.com", "type": "Personal", "isPrimary": True}}
ROW = {
    "id": "a-1",
    "status": "Active",
    "candidate": {"id": "c-1", "name": "Ada Lovelace"} | EMAIL,
    "currentInterviewStage": {"id": "s-1", "title": "Take-home", "interviewPlanId": "p-1"},
    "job": {"id": "j-1", "title": "Engineer"},
}
APPLICATION = Application("a-1", "c-1", "s-1", "j-1", True)
NOT_FOUND = {"success": False, "errors": ["application_not_found"]}


def results(value, **more):
    return {"success": True, "results": value} | more


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def connect(server, organization, monkeypatch):
    """A function that returns a connection with these settings."""
    monkeypatch.setattr(ashby, "LIMIT", RateLimit(10_000, 1))

    def create(**settings):
        values = {"apiKey": "the-key"}
        return server.connect(store_integration(organization, "ashby", values, **settings))

    return create


@pytest.fixture
def api(connect):
    return connect()


# Webhooks


def test_a_signature_is_required():
    body = b'{"action": "ping"}'
    signature = hmac.digest(b"s", body, "sha256").hex()
    assert ashby.verify({"Ashby-Signature": f"sha256={signature}"}, body, ["s"])
    assert not ashby.verify({"Ashby-Signature": f"sha256={signature}"}, body + b" ", ["s"])
    for headers in ({}, {"Ashby-Signature": signature}, {"Ashby-Signature": "sha256="}):
        assert not ashby.verify(headers, body, ["s"])


def webhook(action, **data):
    return json.dumps({"webhookActionId": "w-1", "action": action, "data": data}).encode()


@pytest.mark.parametrize(
    "stage",
    [{"id": "s-1", "title": "Take-home"}, {"id": "s-1", "interviewPlanId": "p-1"}],
    ids=["title", "no title"],
)
def test_the_current_stage_can_be_without_a_title(stage):
    body = webhook("candidateStageChange", application=ROW | {"currentInterviewStage": stage})
    assert ashby.parse(body) == Hint(("a-1",), "c-1", "s-1", ("j-1",))


def test_a_deleted_candidate_is_a_hint():
    assert ashby.parse(webhook("candidateDelete", candidate={"id": "c-1"})) == Hint(
        (), "c-1", is_deleted=True
    )


@pytest.mark.parametrize(
    "body",
    [
        webhook("ping"),
        webhook("applicationUpdate", application=ROW),
        webhook("candidateHire", application=ROW),
        webhook("candidateMerge", deletedCandidate={"id": "c-1"}, mergedCandidate={"id": "c-2"}),
        webhook("candidateStageChange", application={"id": "a\x00"}),
        webhook("candidateStageChange"),
        webhook("candidateDelete"),
        b"[]",
        b"{",
    ],
)
def test_pings_and_other_actions_need_no_action(body):
    assert ashby.parse(body) is None


# Reading


def test_an_application_is_read_with_one_call(api, server):
    server.answers[INFO] = [results(ROW)]
    found = ashby.read_application(api, "a-1")
    assert found == APPLICATION._replace(name="Ada Lovelace", email="ada@example.com")
    (request,) = server.requests
    assert request.headers["accept"] == "application/json; version=1"
    assert request.headers["user-agent"]
    assert request.headers["authorization"].startswith("Basic ")
    assert request.json == {"applicationId": "a-1"}


@pytest.mark.parametrize(
    ("candidate", "email"), [(EMAIL, "ada@example.com"), ({"primaryEmailAddress": None}, None), ({}, None)]
)
def test_a_missing_address_is_looked_up_at_the_candidate(api, server, candidate, email):
    server.answers |= {
        INFO: [results(ROW | {"candidate": {"id": "c-1", "name": "Ada"}})],
        CANDIDATE: [results({"id": "c-1", "name": "Ada"} | candidate)],
    }
    found = ashby.read_application(api, "a-1")
    assert (found.name, found.email) == ("Ada", email)


def test_the_parameters_of_info_have_either_name(api, server):
    invalid = {"success": False, "errors": ["invalid_input"]}
    server.answers |= {
        INFO: [invalid, results(ROW | {"candidate": {"id": "c-1"}})],
        CANDIDATE: [(400, {}), results({"id": "c-1"} | EMAIL)],
    }
    assert ashby.read_application(api, "a-1").email == "ada@example.com"
    assert [request.json for request in server.requests] == [
        {"applicationId": "a-1"}, {"id": "a-1"}, {"id": "c-1"}, {"candidateId": "c-1"},
    ]  # fmt: skip
    server.answers[INFO] = [invalid]
    with pytest.raises(Rejected):
        ashby.read_application(api, "a-1")


@pytest.mark.parametrize(
    "answer",
    [
        NOT_FOUND,
        {"success": False, "errors": [{"code": "application_not_found", "message": "It failed."}]},
        {"success": False, "errors": ["Application not found"]},
        {"success": False, "errors": [{"message": "Not found."}]},
        (404, {}),
        results(None),
    ],
)
def test_an_unknown_application_does_not_exist_with_errors_as_strings_or_objects(api, server, answer):
    server.answers[INFO] = [answer]
    assert ashby.read_application(api, "a-1") is None
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["Archived", "Hired", "Lead", None])
def test_other_states_are_inactive(api, server, status):
    server.answers[INFO] = [results(ROW | {"status": status})]
    assert not ashby.read_application(api, "a-1").is_active


@pytest.mark.parametrize(
    "answer",
    [
        (401, {}),
        (403, {}),
        (403, {"success": False, "errors": ["missing_endpoint_permission"]}),
        {"success": False, "errors": ["missing_endpoint_permission"]},
    ],
)
def test_a_wrong_key_and_a_missing_permission_reject_the_credential(api, server, answer):
    server.answers[INFO] = [answer]
    with pytest.raises(CredentialRejected):
        ashby.read_application(api, "a-1")


def test_open_jobs_are_listed_from_all_pages(api, server):
    server.answers[JOBS] = [
        results(
            [{"id": "j-1", "title": "Engineer", "status": "Open"}], moreDataAvailable=True, nextCursor="n"
        ),
        results([{"id": "j-2", "title": "Old", "status": "Closed"}, {"id": "j-3"}], moreDataAvailable=False),
    ]
    assert ashby.jobs(api) == [Job("j-1", "Engineer"), Job("j-3", "j-3")]
    assert [request.json for request in server.requests] == [{}, {"cursor": "n"}]


def test_a_list_that_is_none_is_a_failure(api, server):
    server.answers[JOBS] = [results({})]
    with pytest.raises(TemporaryFailure):
        ashby.jobs(api)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({}, ["s-1", "s-2"]),
        ({"interviewPlanIds": ["p-2"]}, ["s-2"]),
        ({"defaultInterviewPlanId": "p-1", "interviewPlanIds": []}, ["s-1"]),
    ],
)
def test_stages_belong_to_the_jobs_plans_if_they_are_known(api, server, job, expected):
    titles = {"p-1": "Engineering", "p-2": None}
    server.answers |= {
        JOBS: [results([{"id": "j-1", "status": "Open"} | job])],
        PLANS: [
            results([{"id": "old", "isArchived": True}, *({"id": id, "title": titles[id]} for id in titles)])
        ],
    }
    stages = {"s-1": {"id": "s-1", "title": "Take-home"}, "s-2": {"id": "s-2"}}
    server.answers[STAGES] = [results([stages[id]]) for id in expected]
    found = ashby.stages(api, "j-1")
    known = {"s-1": Stage("s-1", "Take-home", None, "Engineering"), "s-2": Stage("s-2", "s-2", None, None)}
    assert found == [known[id] for id in expected]


def test_stages_of_all_jobs_need_no_job(api, server):
    server.answers |= {
        PLANS: [results([{"id": "p-1", "title": "Engineering"}])],
        STAGES: [results([{"id": "s-1"}])],
    }
    assert ashby.stages(api, None) == [Stage("s-1", "s-1", None, "Engineering")]
    assert server.sent(STAGES)[0].json == {"interviewPlanId": "p-1"}


def test_active_applications_in_a_stage_are_listed(api, server):
    others = [
        ROW | {"id": "a-2", "status": "Archived"},
        ROW | {"id": "a-3", "currentInterviewStage": {"id": "s-2"}},
        ROW | {"id": "a-4", "job": {"id": "j-2"}},
    ]
    server.answers["POST /application.list"] = [results([ROW, *others])]
    assert [row.id for row in ashby.in_stage(api, "s-1", "j-1")] == ["a-1"]
    assert [row.id for row in ashby.in_stage(api, "s-1", None)] == ["a-1", "a-4"]


# Notes


@pytest.mark.parametrize(("settings", "more"), [({}, {}), ({"visibility": "private"}, {"isPrivate": True})])
def test_a_note_notifies_nobody(connect, server, settings, more):
    server.answers["POST /candidate.createNote"] = [results({"id": "n-1"})]
    ashby.write_note(connect(**settings), APPLICATION, "Score: 24 of 32\nRef 3f09ac-2")
    (request,) = server.requests
    note = {"candidateId": "c-1", "note": "Score: 24 of 32\nRef 3f09ac-2", "sendNotifications": False}
    assert request.json == note | more


def test_a_note_that_is_rejected_in_a_200_is_not_written(api, server):
    server.answers["POST /candidate.createNote"] = [{"success": False, "errors": ["candidate_not_found"]}]
    with pytest.raises(Rejected):
        ashby.write_note(api, APPLICATION, "Ref 3f09ac-2")


@pytest.mark.parametrize("field", ["content", "note", "body"])
def test_a_note_is_found_whatever_its_texts_field_is_called(api, server, field):
    server.answers[NOTES] = [
        results([{"id": "n-1", field: "Ref 3f09ac-11"}], moreDataAvailable=True, nextCursor="n"),
        results([{"id": "n-2", field: "Score: 24 of 32\nRef 3f09ac-1"}]),
    ]
    assert ashby.find_note(api, APPLICATION, "3f09ac-1") is True
    assert [request.json for request in server.requests] == [
        {"candidateId": "c-1"},
        {"candidateId": "c-1", "cursor": "n"},
    ]
    assert ashby.find_note(api, APPLICATION, "3f09ac-2") is False


def test_if_notes_cannot_be_listed_it_is_not_known_whether_one_exists(api, server):
    server.answers[NOTES] = [{"success": False, "errors": ["invalid_input"]}]
    assert ashby.find_note(api, APPLICATION, "3f09ac-1") is None


def test_a_mark_overwrites_the_configured_field(connect, server):
    server.answers["POST /customField.setValue"] = [results({})]
    ashby.set_mark(connect(), APPLICATION, "Submitted")
    assert server.requests == []
    ashby.set_mark(connect(markFieldId="f-1"), APPLICATION, "Submitted")
    field = {"objectType": "Application", "objectId": "a-1", "fieldId": "f-1", "fieldValue": "Submitted"}
    assert server.requests[0].json == field
