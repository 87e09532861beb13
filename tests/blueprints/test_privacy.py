"""An organization's settings, and candidates' access to their data (R3, R25, R28)."""

import json
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_issue,
    make_keys,
    make_rubric,
    make_session,
)
from response_checks import body_of, error_of, error_paths
from statements import capture_queries

from models import CandidateKey, ClientReport, Consent, disclosure, sessions

SETTINGS = "/v1/org/settings"
ME = "/v1/candidate/me"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
NINE = "2026-04-01T09:00:00.000Z"
NO_ADDITIONS = {"captures": [], "doesNotCapture": [], "evaluated": [], "dataUse": []}
ADDITIONS = NO_ADDITIONS | {"captures": ["Calls to our own model"], "dataUse": ["Deleted soon"]}


def read(caller, path, **query):
    return body_of(caller.get(path, **query))


def settings(reviewer):
    return read(reviewer, SETTINGS)["settings"]


def update(reviewer, **body):
    return body_of(reviewer.patch(SETTINGS, body))["settings"]


def consent_state(anonymous, key):
    return read(anonymous, "/v1/candidate/consent", key=key.key)


def test_settings_are_updated_independently_and_null_clears_them(reviewer, organization):
    current = disclosure.for_organization(organization, has_client=False)
    initial = {
        "displayName": None,
        "replyTo": None,
        "retentionDays": None,
        "disclosureAdditions": NO_ADDITIONS,
        "disclosureVersion": current["version"],
        "disclosureHash": current["hash"],
        "retentionConflicts": [],
        "modelProviders": [],
    }
    assert settings(reviewer) == update(reviewer, disclosureHash=current["hash"]) == initial
    update(reviewer, retentionDays=180, displayName=" Acme Careers ")
    update(reviewer, replyTo="hiring@acme.example")
    updated = update(reviewer, disclosureAdditions=ADDITIONS)
    values = {"displayName": "Acme Careers", "replyTo": "hiring@acme.example", "retentionDays": 180}
    assert (values | {"disclosureAdditions": ADDITIONS}).items() <= updated.items()
    cleared = update(reviewer, **dict.fromkeys(values), disclosureAdditions=None)
    assert cleared == settings(reviewer) == initial


def test_disclosure_additions_replace_earlier_ones(reviewer):
    update(reviewer, disclosureAdditions=ADDITIONS)
    updated = update(reviewer, disclosureAdditions={"evaluated": ["Tests"], "captures": None})
    assert updated["disclosureAdditions"] == NO_ADDITIONS | {"evaluated": ["Tests"]}


def test_retention_is_1_to_3650_days(reviewer):
    for days in (1, 3650):
        assert update(reviewer, retentionDays=days)["retentionDays"] == days


@pytest.mark.parametrize(
    ("invalid", "path"),
    [
        *(({"retentionDays": days}, ["retentionDays"]) for days in (0, 3651, "90", 1.5)),
        *(({"displayName": name}, ["displayName"]) for name in (" ", "A\nB", "x" * 256)),
        *(({"replyTo": address}, ["replyTo"]) for address in ("nobody", "x" * 250 + "@example.com")),
        ({"disclosureAdditions": []}, ["disclosureAdditions"]),
        ({"disclosureAdditions": {"captures": "all"}}, ["disclosureAdditions", "captures"]),
        ({"disclosureAdditions": {"captures": ["all", " "]}}, ["disclosureAdditions", "captures", 1]),
        ({"disclosureAdditions": {"dataUse": ["x" * 501]}}, ["disclosureAdditions", "dataUse", 0]),
        ({"disclosureAdditions": {"dataUse": ["x"] * 51}}, ["disclosureAdditions", "dataUse"]),
    ],
)
def test_invalid_settings_are_rejected(reviewer, invalid, path):
    before = settings(reviewer)
    assert error_paths(reviewer.patch(SETTINGS, {"replyTo": "a@example.com"} | invalid)) == [path]
    assert settings(reviewer) == before


def test_candidates_get_the_display_name(reviewer, candidate, anonymous, key):
    update(reviewer, displayName="Acme Careers")
    assert consent_state(anonymous, key)["orgName"] == "Acme Careers"
    Consent.record(key, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": key.key}).json
    session = f"/v1/sessions/{redeemed['sessionId']}"
    (listed_session,) = read(reviewer, "/v1/sessions")["sessions"]
    bodies = [redeemed, listed_session, read(reviewer, session)]
    bodies += [read(candidate, path) for path in (session, "/v1/me", ME)]
    assert {body["orgName"] for body in bodies} == {"Acme Careers"}
    assert read(reviewer, "/v1/org")["org"]["name"] == read(reviewer, "/v1/me")["orgName"] == "Acme"


@pytest.mark.parametrize("reply_to", [None, "hiring@acme.example"])
def test_invitations_use_the_display_name_and_reply_to_address(
    reviewer, assessment, worker, tmp_path, reply_to
):
    update(reviewer, displayName="Acme Careers", replyTo=reply_to)
    body = {"count": 1, "candidateEmails": ["alice@example.com"]}
    reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
    worker.run_once()
    (file,) = tmp_path.glob("*.eml")
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["Reply-To"] == (reply_to and f"Acme Careers <{reply_to}>")
    assert message["Subject"].startswith("Acme Careers invites you")


def test_disclosure_additions_are_appended_and_create_a_version(reviewer, anonymous, key):
    initial, before = settings(reviewer), consent_state(anonymous, key)
    updated = update(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    for name, lines in ADDITIONS.items():
        assert after["disclosure"][name] == before["disclosure"][name] + lines
    assert after["disclosure"]["version"] == updated["disclosureVersion"] != before["disclosure"]["version"]
    assert read(reviewer, "/v1/org/disclosure")["disclosure"] == after["disclosure"]
    assert after["disclosureHash"] == updated["disclosureHash"] != before["disclosureHash"]
    # Equal additions result in equal versions.
    assert update(reviewer, disclosureAdditions=NO_ADDITIONS) == initial
    assert update(reviewer, disclosureAdditions=ADDITIONS) == updated


@pytest.mark.parametrize(
    ("days", "words"), [(1, "1 day after"), (180, "180 days after"), (None, "no date is set")]
)
def test_the_disclosure_states_the_retention_period(reviewer, anonymous, key, days, words):
    update(reviewer, retentionDays=days)
    assert words in consent_state(anonymous, key)["disclosure"]["dataUse"][-1]


def test_settings_report_additions_that_contradict_the_retention_period(reviewer):
    line = "We delete the recording 180 days after our decision"
    additions = {
        "dataUse": [line, "We keep it for 26 weeks", "We keep it for 180 days", "Seen by Acme for 9 days"]
    }
    updated = update(reviewer, retentionDays=180, disclosureAdditions=additions)
    assert updated["retentionConflicts"] == additions["dataUse"][:2]
    assert update(reviewer, retentionDays=None)["retentionConflicts"] == additions["dataUse"][:3]


def test_candidates_must_consent_again_to_a_changed_disclosure(reviewer, anonymous, key):
    body = {"key": key.key, "disclosureHash": consent_state(anonymous, key)["disclosureHash"]}
    assert anonymous.post("/v1/candidate/consent", body).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    update(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    assert not after["alreadyConfirmed"]
    assert error_of(anonymous.post("/v1/candidate/consent", body)) == (409, "disclosure_outdated")
    body["disclosureHash"] = after["disclosureHash"]
    assert anonymous.post("/v1/candidate/consent", body).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    latest = Consent.select().order_by(Consent.id.desc()).get()
    assert latest.disclosure_version == after["disclosure"]["version"]


def test_candidates_can_get_their_stored_data(clock, reviewer, candidate, key):
    update(reviewer, retentionDays=30, replyTo="hiring@acme.example")
    clock.fixed += timedelta(minutes=1)
    Consent.record(key, "2026-11", "a hash")
    session = sessions.redeem(key.key, PUBLIC_KEY)
    for minute in (2, 5):
        clock.fixed = key.created_at + timedelta(minutes=minute)
        add_event(session, envelope())
    ClientReport.record(session, "device_start", {"os": "linux"})
    sessions.complete(session)
    data = read(candidate, ME)
    stored = {kind["name"]: (kind["count"], kind["since"], kind["until"]) for kind in data.pop("storedData")}
    start, two, end = (f"2026-04-01T09:0{minute}:00.000Z" for minute in (1, 2, 5))
    assert data == {
        "candidateId": str(key.id),
        "name": "Alice",
        "email": "alice@example.com",
        "externalId": None,
        "orgName": "Acme",
        "contact": "hiring@acme.example",
        "assessmentTitle": "Backend API Challenge",
        "sessionId": str(session.id),
        "status": "completed",
        "taskReadAt": None,
        "consents": [{"disclosureVersion": "2026-11", "disclosureHash": "a hash", "givenAt": start}],
        "retentionDays": 30,
        "retainedUntil": "2026-05-01T09:05:00.000Z",
        "erasureRequestedAt": None,
        "erasureDismissal": None,
    }
    assert stored == {
        "keys": (1, NINE, NINE),
        "messages": (1, NINE, NINE),
        "sessions": (1, start, start),
        "signingKeys": (1, start, start),
        "events": (2, two, end),
        "clientReports": (1, end, end),
    }


@pytest.mark.parametrize("path", ["assessments", "issues"])
def test_the_first_read_of_the_task_before_the_start_is_shown_after_it(
    app, clock, reviewer, organization, path
):
    issue = make_issue(organization)
    assessment = make_assessment(organization, issue_id=issue.id)
    key, other = make_keys(assessment, 2)
    candidate = Caller.candidate(app, key)
    path = f"/v1/{path}/{issue.id if path == 'issues' else assessment.id}"
    for days in (1, 0):
        read(candidate, path)
        clock.fixed += timedelta(days=days)
    assert read(candidate, ME)["taskReadAt"] == NINE
    listed = json.dumps([read(reviewer, "/v1/candidates"), read(reviewer, "/v1/events")])
    assert "taskReadAt" not in listed
    session = make_session(key)
    read(candidate, path)
    for body in (
        read(reviewer, f"/v1/sessions/{session.id}"),
        read(reviewer, f"/v1/sessions/{session.id}/timeline"),
        json.loads(export_lines(candidate)[0])["candidate"],
    ):
        assert body["taskReadAt"] == NINE
    # The start itself is no read.
    session = make_session(other)
    read(Caller.candidate(app, other), path)
    assert read(reviewer, f"/v1/sessions/{session.id}")["taskReadAt"] is None


def test_a_read_of_the_task_before_the_start_is_erased(candidate, reviewer, key):
    read(candidate, f"/v1/assessments/{key.assessment_id}")
    assert CandidateKey.get_by_id(key.id).task_read_at is not None
    body_of(reviewer.delete(f"/v1/candidates/{key.id}/data"))
    key.record_task_read()
    assert CandidateKey.get_by_id(key.id).task_read_at is None


def test_an_erasure_after_the_start_includes_the_read_before_it(candidate, reviewer, key):
    read(candidate, f"/v1/assessments/{key.assessment_id}")
    path = f"/v1/sessions/{make_session(key).id}"
    assert read(reviewer, path)["taskReadAt"] is not None
    body_of(reviewer.delete(f"/v1/candidates/{key.id}/data"))
    assert read(reviewer, path)["taskReadAt"] is None


def test_before_the_session_only_the_key_and_messages_are_stored(clock, reviewer, candidate, key):
    data = read(candidate, ME)
    assert (data["sessionId"], data["consents"], data["status"]) == (None, [], "pending")
    assert [kind["name"] for kind in data["storedData"]] == ["keys", "messages"]
    assert data["retainedUntil"] is None
    update(reviewer, retentionDays=1)
    assert read(candidate, ME)["retainedUntil"] == "2026-04-09T09:00:00.000Z"  # the key expires after 7 days
    assert len(export_lines(candidate)) == 1


def test_notes_scores_and_decisions_are_hidden_from_candidates(app, reviewer, organization):
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_closed_session(assessment, envelope())
    sessions.submit_test_result(session, 1, 0, None, "A note about Alice")
    score = {"value": 1, "comment": "A note about Alice"}
    body_of(reviewer.put(f"/v1/sessions/{session.id}/scores/quality", score))
    decision = {"decision": "rejected", "reason": "A note about Alice"}
    body_of(reviewer.put(f"/v1/candidates/{session.key_id}/decision", decision))
    candidate = Caller.candidate(app, CandidateKey.get_by_id(session.key_id))
    for path in (ME, f"{ME}/export", "/v1/me", f"/v1/sessions/{session.id}"):
        response = candidate.get(path)
        assert response.status_code == 200
        for hidden in ("a note about alice", "score", "rejected"):
            assert hidden not in response.text.lower(), path


def test_sessions_include_their_retention(clock, reviewer, candidate, key):
    session = make_session(key)

    def retained_until():
        return {
            read(caller, f"/v1/sessions/{session.id}")["retainedUntil"] for caller in (candidate, reviewer)
        }

    update(reviewer, retentionDays=30)
    assert retained_until() == {None}  # the session is open and has no time limit
    sessions.complete(session)
    assert retained_until() == {"2026-05-01T09:00:00.000Z"}


def export_lines(candidate):
    response = candidate.get(f"{ME}/export")
    assert (response.status_code, response.mimetype) == (200, "application/x-ndjson")
    assert "attachment" in response.headers["Content-Disposition"]
    return response.text.splitlines()


def test_candidates_can_export_their_clients_data(clock, candidate, key, assessment):
    make_closed_session(assessment, envelope("prompt", data={"text": "someone else's"}))
    session = make_session(key, PUBLIC_KEY)
    events = [envelope("prompt", at) for at in (2, 1)]
    for event in events:
        add_event(session, event)
    ClientReport.record(session, "workspace_commit", {"commitSha": "abc1234"})
    first, *others = export_lines(candidate)
    assert json.loads(first) == {"candidate": read(candidate, ME)}
    report = {"kind": "workspace_commit", "data": {"commitSha": "abc1234"}, "createdAt": NINE}
    assert [json.loads(line) for line in others[:2]] == [
        {"signingKey": {"publicKey": PUBLIC_KEY, "createdAt": NINE}},
        {"clientReport": report},
    ]
    assert others[2:] == [json.dumps(event) for event in reversed(events)]


def test_the_export_reads_client_reports_in_batches(candidate, session):
    for number in range(25):
        ClientReport.record(session, "device_start", {"cpuCount": number})
    with capture_queries() as statements:
        _, *lines = export_lines(candidate)
    assert [json.loads(line)["clientReport"]["data"]["cpuCount"] for line in lines] == list(range(25))
    assert all("LIMIT" in text for text in statements if 'FROM "client_reports"' in text)


def test_erasure_requests_are_idempotent_and_do_not_erase_data(clock, reviewer, candidate, key, session):
    add_event(session, envelope())
    path = f"{ME}/erasure-request"
    for _ in range(2):
        assert body_of(candidate.post(path)) == {"erasureRequestedAt": NINE}
        clock.fixed += timedelta(days=1)
    (listed_candidate,) = read(reviewer, "/v1/candidates")["candidates"]
    (listed_key,) = read(reviewer, f"/v1/assessments/{key.assessment_id}/keys")["keys"]
    data = read(candidate, ME)
    for body in (listed_candidate, listed_key, data, read(reviewer, f"/v1/sessions/{session.id}")):
        assert body["erasureRequestedAt"] == NINE
    assert {kind["name"] for kind in data["storedData"]} >= {"events", "keys"}
    assert listed_candidate["candidateName"] == "Alice"


def test_a_dismissed_erasure_request_can_be_repeated(clock, reviewer, candidate, key):
    request, dismiss = f"{ME}/erasure-request", f"/v1/candidates/{key.id}/dismiss-erasure-request"
    candidate.post(request)
    assert body_of(reviewer.post(dismiss, {"reason": "You did not ask."})) == {"erasureRequestedAt": None}
    data = read(candidate, ME)
    assert (data["erasureRequestedAt"], data["erasureDismissal"]) == (None, "You did not ask.")
    assert read(reviewer, "/v1/todo")["erasureRequests"]["count"] == 0
    assert body_of(candidate.post(request)) == {"erasureRequestedAt": NINE}
    assert read(candidate, ME)["erasureDismissal"] is None


def test_dismissing_without_a_request_changes_nothing(reviewer, candidate, key):
    path = f"/v1/candidates/{key.id}/dismiss-erasure-request"
    assert error_paths(reviewer.post(path, {"reason": " "})) == [["reason"]]
    body_of(reviewer.post(path, {"reason": "None"}))
    assert read(candidate, ME)["erasureDismissal"] is None
