"""Settings of an organization, and a candidate's access to their own data (R3, R25, R28)."""

import json
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_closed_session, make_rubric, make_session
from response_checks import body_of, error_of, error_paths
from statements import counted

from delivery.worker import Worker
from models import CandidateKey, ClientReport, Consent, Organization, disclosure, sessions

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


def change(reviewer, **body):
    return body_of(reviewer.patch(SETTINGS, body))["settings"]


def consent_state(anonymous, key):
    return read(anonymous, "/v1/candidate/consent", key=key.key)


def test_settings_are_changed_one_by_one_and_null_clears(reviewer):
    current = disclosure.current()
    initial = {
        "displayName": None,
        "replyTo": None,
        "retentionDays": None,
        "disclosureAdditions": NO_ADDITIONS,
        "disclosureVersion": current["version"],
        "disclosureHash": current["hash"],
    }
    assert (
        settings(reviewer) == change(reviewer) == change(reviewer, disclosureHash=current["hash"]) == initial
    )
    change(reviewer, retentionDays=180, displayName=" Acme Careers ")
    change(reviewer, replyTo="hiring@acme.example")
    changed = change(reviewer, disclosureAdditions=ADDITIONS)
    values = {"displayName": "Acme Careers", "replyTo": "hiring@acme.example", "retentionDays": 180}
    assert (values | {"disclosureAdditions": ADDITIONS}).items() <= changed.items()
    assert (
        change(reviewer, **dict.fromkeys(values), disclosureAdditions=None) == settings(reviewer) == initial
    )


def test_additions_replace_earlier_ones(reviewer):
    change(reviewer, disclosureAdditions=ADDITIONS)
    changed = change(reviewer, disclosureAdditions={"evaluated": ["Tests"], "captures": None})
    assert changed["disclosureAdditions"] == NO_ADDITIONS | {"evaluated": ["Tests"]}


@pytest.mark.parametrize("days", [1, 3650])
def test_a_retention_is_1_to_3650_days(reviewer, days):
    assert change(reviewer, retentionDays=days)["retentionDays"] == days


@pytest.mark.parametrize(
    ("invalid", "place"),
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
def test_invalid_settings_are_rejected(reviewer, invalid, place):
    before = settings(reviewer)
    assert error_paths(reviewer.patch(SETTINGS, {"replyTo": "a@example.com"} | invalid)) == [place]
    assert settings(reviewer) == before


def test_settings_belong_to_one_organization(reviewer, neighbour, reader):
    change(reviewer, retentionDays=90, disclosureAdditions=ADDITIONS)
    assert settings(neighbour)["retentionDays"] is None
    assert settings(reader)["retentionDays"] == 90
    other = Organization.get_by_id(neighbour.row.organization_id)
    assert disclosure.for_organization(other) == disclosure.current()


def test_candidates_read_the_display_name(reviewer, candidate, anonymous, key):
    change(reviewer, displayName="Acme Careers")
    assert consent_state(anonymous, key)["orgName"] == "Acme Careers"
    Consent.record(key, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": key.key}).json
    session = f"/v1/sessions/{redeemed['sessionId']}"
    (listed,) = read(reviewer, "/v1/sessions")["sessions"]
    shown = [redeemed, listed, read(reviewer, session)]
    shown += [read(candidate, path) for path in (session, "/v1/me", ME)]
    assert {place["orgName"] for place in shown} == {"Acme Careers"}
    assert read(reviewer, "/v1/org")["org"]["name"] == read(reviewer, "/v1/me")["orgName"] == "Acme"


@pytest.mark.parametrize("reply_to", [None, "hiring@acme.example"])
def test_invitations_have_the_display_name_and_reply_address(
    app, reviewer, assessment, tmp_path, monkeypatch, reply_to
):
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)
    change(reviewer, displayName="Acme Careers", replyTo=reply_to)
    body = {"count": 1, "candidateEmails": ["alice@example.com"]}
    reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
    Worker(app.config).run_once()
    (file,) = tmp_path.glob("*.eml")
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["Reply-To"] == (reply_to and f"Acme Careers <{reply_to}>")
    assert message["Subject"].startswith("Acme Careers invites you")


def test_additions_are_appended_and_create_a_version(reviewer, anonymous, key):
    initial, before = settings(reviewer), consent_state(anonymous, key)
    changed = change(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    for name, lines in ADDITIONS.items():
        assert after["disclosure"][name] == before["disclosure"][name] + lines
    assert after["disclosure"]["version"] == changed["disclosureVersion"] != before["disclosure"]["version"]
    assert after["disclosure"]["version"].startswith(before["disclosure"]["version"])
    assert after["disclosureHash"] == changed["disclosureHash"] != before["disclosureHash"]
    # The version depends on the text alone.
    assert change(reviewer, disclosureAdditions=NO_ADDITIONS) == initial
    assert change(reviewer, disclosureAdditions=ADDITIONS) == changed


def test_a_candidate_who_agreed_to_another_text_is_asked_again(reviewer, anonymous, key):
    agree = {"key": key.key, "disclosureHash": consent_state(anonymous, key)["disclosureHash"]}
    assert anonymous.post("/v1/candidate/consent", agree).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    change(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    assert not after["alreadyConfirmed"]
    assert error_of(anonymous.post("/v1/candidate/consent", agree)) == (409, "disclosure_outdated")
    agree["disclosureHash"] = after["disclosureHash"]
    assert anonymous.post("/v1/candidate/consent", agree).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    latest = Consent.select().order_by(Consent.id.desc()).get()
    assert latest.disclosure_version == after["disclosure"]["version"]


def test_a_candidate_reads_which_data_is_stored(clock, reviewer, candidate, key):
    change(reviewer, retentionDays=30, replyTo="hiring@acme.example")
    clock.fixed += timedelta(minutes=1)
    Consent.record(key, "2026-11", "a hash")
    session = sessions.redeem(key.key, PUBLIC_KEY)
    for minute in (2, 5):
        clock.fixed = key.created_at + timedelta(minutes=minute)
        add_event(session, envelope())
    ClientReport.record(session, "device_start", {"os": "linux"})
    sessions.complete(session)
    shown = read(candidate, ME)
    stored = {kind["name"]: (kind["count"], kind["since"], kind["until"]) for kind in shown.pop("storedData")}
    start, two, end = (f"2026-04-01T09:0{minute}:00.000Z" for minute in (1, 2, 5))
    assert shown == {
        "candidateId": str(key.id),
        "name": "Alice",
        "email": "alice@example.com",
        "orgName": "Acme",
        "contact": "hiring@acme.example",
        "assessmentTitle": "Backend API Challenge",
        "sessionId": str(session.id),
        "status": "completed",
        "consents": [{"disclosureVersion": "2026-11", "disclosureHash": "a hash", "givenAt": start}],
        "retentionDays": 30,
        "retainedUntil": "2026-05-01T09:05:00.000Z",
        "erasureRequestedAt": None,
    }
    assert stored == {
        "keys": (1, NINE, NINE),
        "messages": (1, NINE, NINE),
        "sessions": (1, start, start),
        "signingKeys": (1, start, start),
        "events": (2, two, end),
        "clientReports": (1, end, end),
    }


def test_before_the_session_only_key_and_messages_are_stored(clock, reviewer, candidate, key):
    shown = read(candidate, ME)
    assert (shown["sessionId"], shown["consents"], shown["status"]) == (None, [], "pending")
    assert [kind["name"] for kind in shown["storedData"]] == ["keys", "messages"]
    assert shown["retainedUntil"] is None
    change(reviewer, retentionDays=1)
    assert read(candidate, ME)["retainedUntil"] == "2026-04-09T09:00:00.000Z"  # the key expires after 7 days
    assert len(exported(candidate)) == 1


def test_assessments_by_reviewers_are_not_shown_to_candidates(app, reviewer, organization):
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_closed_session(assessment, envelope())
    sessions.submit_test_result(session, 1, 0, None, "A note about Alice")
    score = {"value": 1, "comment": "A note about Alice"}
    body_of(reviewer.put(f"/v1/sessions/{session.id}/scores/quality", score))
    candidate = Caller.candidate(app, CandidateKey.get_by_id(session.key_id))
    for response in (candidate.get(ME), candidate.get(f"{ME}/export")):
        assert b"A note about Alice" not in response.data
        assert b"score" not in response.data.lower()


def test_a_session_shows_its_retention(clock, reviewer, candidate, key):
    session = make_session(key)

    def shown():
        return [
            read(caller, f"/v1/sessions/{session.id}")["retainedUntil"] for caller in (candidate, reviewer)
        ]

    assert shown() == [None, None]
    change(reviewer, retentionDays=30)
    assert shown() == [None, None]  # open, without a limit
    sessions.complete(session)
    assert shown() == ["2026-05-01T09:00:00.000Z"] * 2


def exported(candidate):
    response = candidate.get(f"{ME}/export")
    assert (response.status_code, response.mimetype) == (200, "application/x-ndjson")
    assert "attachment" in response.headers["Content-Disposition"]
    return response.text.splitlines()


def test_a_candidate_exports_what_their_computer_sent(clock, candidate, key, assessment):
    make_closed_session(assessment, envelope("prompt", data={"text": "another's"}))
    session = make_session(key, PUBLIC_KEY)
    events = [envelope("prompt", at) for at in (2, 1)]
    for event in events:
        add_event(session, event)
    ClientReport.record(session, "workspace_commit", {"commitSha": "abc1234"})
    first, *others = exported(candidate)
    assert json.loads(first) == {"candidate": read(candidate, ME)}
    report = {"kind": "workspace_commit", "data": {"commitSha": "abc1234"}, "createdAt": NINE}
    assert [json.loads(line) for line in others[:2]] == [
        {"signingKey": {"publicKey": PUBLIC_KEY, "createdAt": NINE}},
        {"clientReport": report},
    ]
    assert others[2:] == [json.dumps(event) for event in reversed(events)]


def test_reports_are_read_in_small_parts_for_the_export(candidate, session):
    for number in range(25):
        ClientReport.record(session, "device_start", {"cpuCount": number})
    with counted() as sent:
        _, *lines = exported(candidate)
    assert [json.loads(line)["clientReport"]["data"]["cpuCount"] for line in lines] == list(range(25))
    assert all("LIMIT" in text for text in sent if 'FROM "client_reports"' in text)


def test_an_erasure_request_is_recorded_once_and_erases_nothing(clock, reviewer, candidate, key, session):
    add_event(session, envelope())
    path = f"{ME}/erasure-request"
    first = candidate.post(path)
    assert (first.status_code, first.json) == (200, {"erasureRequestedAt": NINE})
    clock.fixed += timedelta(days=1)
    assert candidate.post(path).json == first.json
    (listed,) = read(reviewer, "/v1/candidates")["candidates"]
    (of_assessment,) = read(reviewer, f"/v1/assessments/{key.assessment_id}/keys")["keys"]
    own = read(candidate, ME)
    for place in (listed, of_assessment, read(reviewer, f"/v1/sessions/{session.id}"), own):
        assert place["erasureRequestedAt"] == NINE
    assert {kind["name"] for kind in own["storedData"]} >= {"events", "keys"}
    assert listed["candidateName"] == "Alice"
