"""Greenhouse's webhooks and API. What its documentation leaves open works either way."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

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
from integrations.systems import greenhouse
from tests.integrations.system_server import serving, store_integration

TOKEN = "POST /token"
APPLICATIONS, CANDIDATES = "GET /v3/applications", "GET /v3/candidates"
JOBS, STAGES, NOTES = "GET /v3/jobs", "GET /v3/job_interview_stages", "GET /v3/notes"
ROW = {
    "id": 265277,
    "candidate_id": 15803,
    "job_id": 8345,
    "job_interview_stage_id": 7332,
    "status": "in_process",
}
APPLICATION = Application("265277", "15803", "7332", "8345", True)
ADA = {"id": 15803, "first_name": "Ada", "last_name": "Lovelace"}


@pytest.fixture
def server():
    with serving() as server:
        server.answers = {
            TOKEN: [{"access_token": "one", "expires_in": 3600}],
            "POST /v3/notes": [(201, {"id": 1})],
        }
        yield server


@pytest.fixture
def connect(server, organization, monkeypatch):
    """A function that returns a connection with these settings and credential fields."""
    monkeypatch.setattr(greenhouse, "LIMIT", RateLimit(10_000, 1))

    def create(credential=(), **settings):
        values = {"clientId": "id", "clientSecret": "secret"} | dict(credential)
        return server.connect(store_integration(organization, "greenhouse", values, **settings))

    return create


@pytest.fixture
def api(connect):
    return connect()


# Webhooks


def sign(body, secret="s", prefix="sha256 "):
    return {"Signature": prefix + hmac.digest(secret.encode(), body, "sha256").hex()}


def test_a_signature_covers_the_bytes_and_is_required():
    body = rb'{"action":"ping","payload":{"name":"\u003cAda\u003e"}}'
    assert greenhouse.verify(sign(body), body, ["new", "s"])
    assert not greenhouse.verify(sign(body), body + b" ", ["s"])
    assert not greenhouse.verify(sign(body), body, ["other"])
    for headers in (
        {},
        {"Signature": ""},
        {"Signature": "sha256 \xe9"},
        sign(body, prefix="sha256="),
        sign(body, prefix=""),
    ):
        assert not greenhouse.verify(headers, body, ["s"])


def stage_change(**application):
    values = {
        "id": 265277,
        "status": "active",
        "current_stage": {"id": 7332, "name": "Take-home"},
        "candidate": {"id": 15803, "can_email": True, "first_name": "\ud800\x00"},
        "jobs": [{"id": 8345, "name": "Engineer"}],
    }
    return json.dumps(
        {"action": "candidate_stage_change", "payload": {"application": values | application}}
    ).encode()


def test_only_ids_are_read_from_a_stage_change():
    assert greenhouse.parse(stage_change()) == Hint(("265277",), "15803", "7332", ("8345",))


@pytest.mark.parametrize(
    ("candidate", "expected"), [({"can_email": False}, False), ({"can_email": None}, True), ({}, True)]
)
def test_can_email_may_be_absent_in_a_webhook(candidate, expected):
    assert greenhouse.parse(stage_change(candidate={"id": 1} | candidate)).may_email is expected


def test_a_prospect_can_be_without_job_and_stage():
    assert greenhouse.parse(stage_change(jobs=[], current_stage=None)) == Hint(("265277",), "15803")


def test_a_deleted_candidate_is_a_hint():
    payload = {"person": {"id": 15803, "deleted_application_ids": [265277, 265278]}}
    body = json.dumps({"action": "delete_candidate", "payload": payload}).encode()
    assert greenhouse.parse(body) == Hint(("265277", "265278"), "15803", is_deleted=True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"action": "ping", "payload": {"name": "hook"}}',
        b'{"action": "ping"}',
        b'{"web_hook_id": 1}',
        b'{"action": "candidate_has_been_hired", "payload": {"application": {"id": 1}}}',
        b'{"action": "candidate_stage_change", "payload": {"application": {"id": "\\u0000"}}}',
        b'{"action": "candidate_stage_change", "payload": {"application": {"id": true}}}',
        b'{"action": "candidate_stage_change", "payload": []}',
        b'{"action": "delete_candidate", "payload": {}}', b"[]", b"", b"{", b"\xff", b"[" * 100_000,
    ],
)  # fmt: skip
def test_pings_and_other_bodies_need_no_action(body):
    assert greenhouse.parse(body) is None


# Tokens


@pytest.mark.parametrize(
    "expiry",
    [
        {"expires_in": 3600},
        {"expires_in": "3600"},
        # The first tests run long before the last.
        {"expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        {"expires_at": (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None).isoformat()},
        {"expires_at": time.time() + 86_400},
        {"expires_at": "soon"},
        {"expires_in": 10**400},
        {},
    ],
)
def test_a_token_is_used_until_it_expires_whatever_field_says_so(api, server, expiry):
    server.answers |= {TOKEN: [{"access_token": "one"} | expiry], JOBS: [[]]}
    greenhouse.jobs(api)
    greenhouse.jobs(api)
    assert len(server.sent(TOKEN)) == 1
    assert [request.headers["authorization"] for request in server.sent(JOBS)] == ["Bearer one"] * 2


def test_an_expired_token_is_renewed_before_a_call(api, server):
    server.answers |= {TOKEN: [{"access_token": "one", "expires_in": 30}], JOBS: [[]]}
    greenhouse.jobs(api)
    greenhouse.jobs(api)
    assert len(server.sent(TOKEN)) == 2


def test_a_rejected_token_is_renewed_once(api, server):
    server.answers[TOKEN] = [{"access_token": name, "expires_in": 3600} for name in ("one", "two", "three")]
    server.answers[JOBS] = [(401, {}), [], (401, {})]
    assert greenhouse.jobs(api) == []
    with pytest.raises(CredentialRejected):
        greenhouse.jobs(api)
    tokens = [request.headers["authorization"] for request in server.sent(JOBS)]
    assert tokens == ["Bearer one", "Bearer two", "Bearer two", "Bearer three"]


@pytest.mark.parametrize(("credential", "sub"), [({}, {}), ({"userId": "4080"}, {"sub": "4080"})])
def test_a_token_is_requested_with_or_without_sub(connect, server, credential, sub):
    server.answers[JOBS] = [[]]
    greenhouse.jobs(connect(credential))
    (request,) = server.sent(TOKEN)
    assert dict(parse_qsl(request.body.decode())) == {"grant_type": "client_credentials"} | sub
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'id:secret').decode()}"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_credential_is_rejected_with_any_of_three_statuses(api, server, status):
    server.answers[TOKEN] = [(status, {"error": "invalid_client"})]
    with pytest.raises(CredentialRejected, match=f"Greenhouse responded with {status} .invalid_client"):
        greenhouse.jobs(api)


def test_a_missing_scope_is_a_rejected_credential(api, server):
    server.answers[JOBS] = [(403, {})]
    with pytest.raises(CredentialRejected):
        greenhouse.jobs(api)
    assert len(server.sent(JOBS)) == 1


def test_a_response_without_a_token_is_a_temporary_failure(api, server):
    server.answers[TOKEN] = [{}]
    with pytest.raises(TemporaryFailure):
        greenhouse.jobs(api)


# Reading


def read(api, server, **candidate):
    server.answers |= {APPLICATIONS: [[ROW]], CANDIDATES: [[ADA | candidate]]}
    return greenhouse.read_application(api, "265277")


def test_an_application_is_read_with_its_candidate(api, server):
    found = read(api, server, email_addresses=[{"value": "ada@example.com", "type": "personal"}])
    assert found == APPLICATION._replace(name="Ada Lovelace", email="ada@example.com")
    assert server.sent(APPLICATIONS)[0].parameters == {"ids": "265277", "per_page": "100"}
    assert server.sent(CANDIDATES)[0].parameters == {"ids": "15803", "per_page": "100"}


@pytest.mark.parametrize(
    ("addresses", "email"),
    [
        ([("w@a.example", "work"), ("p@a.example", "personal"), ("q@a.example", "personal")], "p@a.example"),
        ([("o@a.example", "other"), ("w@a.example", "work")], "o@a.example"),
        ([(None, "personal"), (" ", "personal")], None),
        ([], None),
    ],
)
def test_the_first_personal_address_is_used_else_the_first(api, server, addresses, email):
    rows = [{"value": value, "type": kind} for value, kind in addresses]
    assert read(api, server, email_addresses=rows).email == email


@pytest.mark.parametrize(
    ("candidate", "expected"), [({"can_email": False}, False), ({"can_email": True}, True), ({}, True)]
)
def test_can_email_may_be_absent_in_the_api(api, server, candidate, expected):
    assert read(api, server, **candidate).may_email is expected


def test_names_are_on_one_line_and_equal_ones_have_the_end_of_the_id(api, server):
    rows = [{"id": 4000123456, "name": "Engineer"}, {"id": 4000123457, "name": "Eng\u202eineer"}]
    server.answers[JOBS] = [[*rows, {"id": 3, "name": "Engineer"}]]
    expected = [
        Job("4000123456", "Engineer (123456)"),
        Job("4000123457", "Engineer (123457)"),
        Job("3", "Engineer (3)"),
    ]
    assert greenhouse.jobs(api) == expected


@pytest.mark.parametrize(
    ("names", "name"), [({"first_name": None}, "Lovelace"), ({"first_name": None, "last_name": None}, None)]
)
def test_missing_names_are_null(api, server, names, name):
    assert read(api, server, **names).name == name


@pytest.mark.parametrize("status", ["rejected", "hired", "converted", None])
def test_other_states_are_inactive(api, server, status):
    server.answers |= {APPLICATIONS: [[ROW | {"status": status}]], CANDIDATES: [[]]}
    found = greenhouse.read_application(api, "265277")
    assert (found.is_active, found.email) == (False, None)


@pytest.mark.parametrize("answer", [[], (404, {}), [ROW | {"id": 1}], [{"id": 265277}]])
def test_an_unknown_application_does_not_exist(api, server, answer):
    server.answers[APPLICATIONS] = [answer]
    assert greenhouse.read_application(api, "265277") is None


def test_a_list_that_is_none_is_a_failure_not_a_missing_application(api, server):
    server.answers[APPLICATIONS] = [{"data": []}]
    with pytest.raises(TemporaryFailure):
        greenhouse.read_application(api, "265277")


def test_pages_follow_the_link_headers_cursor_alone(api, server):
    elsewhere = '<https://elsewhere.example/v3/jobs?cursor=a%3D>; rel="next"'
    next_page = f'<https://harvest.greenhouse.io/v3/jobs?page=0>; rel="prev", {elsewhere}'
    server.answers[JOBS] = [
        (200, [{"id": 1, "name": "Engineer"}], {"Link": next_page}),
        (
            200,
            [{"id": 2, "name": None}],
            {"Link": "<https://harvest.greenhouse.io/v3/jobs?cursor=b>; rel=next"},
        ),
        (200, [{"id": 3, "name": "Designer"}, {"name": "no id"}], {"Link": ""}),
    ]
    assert greenhouse.jobs(api) == [Job("1", "Engineer"), Job("2", "2"), Job("3", "Designer")]
    first, *others = [request.parameters for request in server.sent(JOBS)]
    assert (first, others) == ({"status": "open", "per_page": "100"}, [{"cursor": "a="}, {"cursor": "b"}])


def test_stages_belong_to_open_jobs(api, server):
    server.answers |= {
        JOBS: [[{"id": 8345, "name": "Engineer"}]],
        STAGES: [
            [
                {"id": 1, "name": "Take-home", "active": True, "job_id": 8345},
                {"id": 2, "name": "Old", "active": False, "job_id": 8345},
                {"id": 3, "name": "Closed", "active": True, "job_id": 1},
                {"id": 4, "job_id": 8345},
            ]
        ],
    }
    expected = [Stage("1", "Take-home", "8345", "Engineer"), Stage("4", "4", "8345", "Engineer")]
    assert greenhouse.stages(api, None) == expected
    server.answers[STAGES] = [[{"id": 1, "name": "Take-home"}]]
    assert greenhouse.stages(api, "8345") == expected[:1]
    assert [request.parameters.get("job_ids") for request in server.sent(STAGES)] == [None, "8345"]


def test_active_applications_in_a_stage_are_listed(api, server):
    others = [ROW | {"id": 1, "job_interview_stage_id": 1}, ROW | {"id": 2, "status": "rejected"}]
    server.answers |= {APPLICATIONS: [[ROW, *others]], CANDIDATES: [[ADA]]}
    expected = [APPLICATION._replace(name="Ada Lovelace")]
    assert greenhouse.in_stage(api, "7332", "8345") == greenhouse.in_stage(api, "7332", None) == expected
    first, second = [request.parameters for request in server.sent(APPLICATIONS)]
    assert (first["status"], first["job_ids"], "job_ids" in second) == ("in_process", "8345", False)


def test_an_endless_list_is_read_only_until_the_application(api, server):
    endless = {"Link": '<https://example.com/applications?cursor=a>; rel="next"'}
    server.answers |= {APPLICATIONS: [(200, [{"id": 1}, ROW], endless)], CANDIDATES: [(200, [ADA], endless)]}
    assert greenhouse.read_application(api, "265277").name == "Ada Lovelace"
    assert len(server.requests) == 3  # with the token


def test_an_endless_list_of_jobs_is_an_error(api, server, monkeypatch):
    monkeypatch.setattr(greenhouse, "MAX_ROWS", 3)
    endless = {"Link": '<https://example.com/jobs?cursor=a>; rel="next"'}
    server.answers[JOBS] = [(200, [{"id": 1}, {"id": 2}], endless)]
    with pytest.raises(Rejected, match="more than 3 rows"):
        greenhouse.jobs(api)
    assert len(server.sent(JOBS)) == 2


# Notes


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"visibility": "public"}),
        ({"visibility": "private", "noteUserId": "4080"}, {"visibility": "private", "user_id": 4080}),
    ],
)
def test_a_note_is_plain_text_with_the_configured_author_and_visibility(connect, server, settings, expected):
    greenhouse.write_note(connect(**settings), APPLICATION, "Score: 24 of 32\nRef 3f09ac-2")
    (request,) = server.sent("POST /v3/notes")
    note = {"candidate_id": 15803, "application_id": 265277, "body": "Score: 24 of 32\nRef 3f09ac-2"}
    assert request.json == note | {"note_type": "NOTE"} | expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Score\nRef 3f09ac-2", True),
        ("<p>Score<br>Ref&nbsp;3f09ac-2</p>", True),
        ("Score\nRef\u00a03f09ac-2", True),
        ("Score\nRef 3f09ac-21", False),
        (None, False),
    ],
)
def test_a_note_is_found_by_its_reference_as_text_or_html(api, server, body, expected):
    server.answers[NOTES] = [[{"id": 1, "body": "Called Ada."}, {"id": 2, "body": body}]]
    assert greenhouse.find_note(api, APPLICATION, "3f09ac-2") is expected
    assert server.sent(NOTES)[0].parameters["candidate_ids"] == "15803"


@pytest.mark.parametrize("status", [403, 404])
def test_without_the_permission_to_list_notes_it_is_not_known_whether_one_exists(api, server, status):
    server.answers[NOTES] = [(status, {})]
    assert greenhouse.find_note(api, APPLICATION, "3f09ac-2") is None


def test_a_rejected_credential_is_no_missing_permission(api, server):
    server.answers[NOTES] = [(401, {})]
    with pytest.raises(CredentialRejected):
        greenhouse.find_note(api, APPLICATION, "3f09ac-2")
