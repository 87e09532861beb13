"""Settings of an organization, and what a candidate is told of the own data and takes along (R3, R25, R28)."""

import json
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from answers import places, refusal
from callers import Caller
from factories import add_event, envelope, make_closed_session, make_key, make_session

from delivery.worker import Worker
from models import CandidateKey, ClientReport, Consent, Organization, Score, disclosure, sessions

SETTINGS = "/v1/org/settings"
ME = "/v1/candidate/me"
ADDITIONS = {
    "captures": ["Calls to our own model"],
    "doesNotCapture": [],
    "evaluated": [],
    "dataUse": ["Deleted soon"],
}
NOTHING_ADDED = {"captures": [], "doesNotCapture": [], "evaluated": [], "dataUse": []}


def change(reviewer, **body):
    answer = reviewer.patch(SETTINGS, body)
    assert answer.status_code == 200, answer.json
    return answer.json["settings"]


def consent_state(anonymous, key):
    answer = anonymous.get("/v1/candidate/consent", key=key.key)
    assert answer.status_code == 200, answer.json
    return answer.json


def told(candidate):
    answer = candidate.get(ME)
    assert answer.status_code == 200, answer.json
    return answer.json


# Settings


def test_the_settings_of_a_new_organization(reviewer):
    current = disclosure.current()
    assert reviewer.get(SETTINGS).json == {
        "settings": {
            "displayName": None,
            "replyTo": None,
            "retentionDays": None,
            "disclosureAdditions": NOTHING_ADDED,
            "disclosureVersion": current["version"],
            "disclosureHash": current["hash"],
        }
    }


def test_settings_are_changed_one_by_one_and_null_clears(reviewer):
    change(reviewer, retentionDays=180, displayName=" Acme Careers ")
    change(reviewer, replyTo="hiring@acme.example")
    settings = change(reviewer, disclosureAdditions=ADDITIONS)
    assert {
        name: settings[name] for name in ("displayName", "replyTo", "retentionDays", "disclosureAdditions")
    } == {
        "displayName": "Acme Careers",
        "replyTo": "hiring@acme.example",
        "retentionDays": 180,
        "disclosureAdditions": ADDITIONS,
    }
    cleared = change(reviewer, retentionDays=None, displayName=None, replyTo=None, disclosureAdditions=None)
    assert {"settings": cleared} == reviewer.get(SETTINGS).json
    assert (cleared["retentionDays"], cleared["disclosureAdditions"]) == (None, NOTHING_ADDED)


def test_a_change_of_nothing_changes_nothing(reviewer):
    before = reviewer.get(SETTINGS).json["settings"]
    assert change(reviewer) == change(reviewer, unknown=1) == before


def test_additions_replace_all_earlier_ones(reviewer):
    change(reviewer, disclosureAdditions=ADDITIONS)
    settings = change(reviewer, disclosureAdditions={"evaluated": ["Tests"], "captures": None})
    assert settings["disclosureAdditions"] == NOTHING_ADDED | {"evaluated": ["Tests"]}


@pytest.mark.parametrize("days", [1, 3650])
def test_a_retention_is_of_1_to_3650_days(reviewer, days):
    assert change(reviewer, retentionDays=days)["retentionDays"] == days


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"retentionDays": 0}, ["retentionDays"]),
        ({"retentionDays": 3651}, ["retentionDays"]),
        ({"retentionDays": "90"}, ["retentionDays"]),
        ({"retentionDays": 1.5}, ["retentionDays"]),
        ({"displayName": " "}, ["displayName"]),
        ({"displayName": "A\nB"}, ["displayName"]),
        ({"displayName": "x" * 256}, ["displayName"]),
        ({"replyTo": "nobody"}, ["replyTo"]),
        ({"replyTo": "x" * 250 + "@example.com"}, ["replyTo"]),
        ({"disclosureAdditions": []}, ["disclosureAdditions"]),
        ({"disclosureAdditions": {"captures": "all"}}, ["disclosureAdditions", "captures"]),
        ({"disclosureAdditions": {"captures": ["all", " "]}}, ["disclosureAdditions", "captures", 1]),
        ({"disclosureAdditions": {"dataUse": ["x" * 501]}}, ["disclosureAdditions", "dataUse", 0]),
        ({"disclosureAdditions": {"dataUse": ["x"] * 51}}, ["disclosureAdditions", "dataUse"]),
    ],
)
def test_what_is_no_setting_is_refused(reviewer, wrong, place):
    before = reviewer.get(SETTINGS).json
    assert places(reviewer.patch(SETTINGS, wrong | {"replyTo": wrong.get("replyTo", "a@example.com")})) == [
        place
    ]
    assert reviewer.get(SETTINGS).json == before


def test_settings_are_an_organizations_own(reviewer, neighbour, reader):
    change(reviewer, retentionDays=90)
    assert neighbour.get(SETTINGS).json["settings"]["retentionDays"] is None
    assert reader.get(SETTINGS).json["settings"]["retentionDays"] == 90
    assert refusal(reader.patch(SETTINGS, {"retentionDays": 1})) == (403, "insufficient_scope")


# The display name and the address for answers


def test_candidates_read_the_display_name(reviewer, candidate, anonymous, key):
    change(reviewer, displayName="Acme Careers")
    assert consent_state(anonymous, key)["orgName"] == "Acme Careers"
    Consent.give(key, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": key.key}).json
    assert redeemed["orgName"] == "Acme Careers"
    session = f"/v1/sessions/{redeemed['sessionId']}"
    assert candidate.get(session).json["orgName"] == reviewer.get(session).json["orgName"] == "Acme Careers"
    (listed,) = reviewer.get("/v1/sessions").json["sessions"]
    assert listed["orgName"] == "Acme Careers"
    assert candidate.get("/v1/me").json["orgName"] == told(candidate)["orgName"] == "Acme Careers"
    assert reviewer.get("/v1/org").json["org"]["name"] == reviewer.get("/v1/me").json["orgName"] == "Acme"


@pytest.fixture
def mail(app, tmp_path, monkeypatch):
    """Delivers what waits, and returns the one mail."""
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)

    def deliver():
        Worker(app.config).run_once()
        (file,) = tmp_path.glob("*.eml")
        return message_from_bytes(file.read_bytes(), policy=policy.default)

    return deliver


def test_invitations_bear_the_display_name_and_the_address_for_answers(reviewer, assessment, mail):
    change(reviewer, displayName="Acme Careers", replyTo="hiring@acme.example")
    reviewer.post(
        f"/v1/assessments/{assessment.id}/keys", {"count": 1, "candidateEmails": ["alice@example.com"]}
    )
    message = mail()
    assert message["Reply-To"] == "Acme Careers <hiring@acme.example>"
    assert message["Subject"].startswith("Acme Careers invites you")


def test_without_an_address_for_answers_there_is_none(assessment, mail):
    make_key(assessment)
    assert mail()["Reply-To"] is None


# Additions to the disclosure


def test_additions_stand_at_the_end_of_the_text_in_a_version_of_its_own(reviewer, anonymous, key):
    before = consent_state(anonymous, key)
    settings = change(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    assert after["disclosure"]["captures"] == before["disclosure"]["captures"] + ADDITIONS["captures"]
    assert after["disclosure"]["dataUse"] == before["disclosure"]["dataUse"] + ADDITIONS["dataUse"]
    assert after["disclosure"]["evaluated"] == before["disclosure"]["evaluated"]
    assert after["disclosure"]["version"] == settings["disclosureVersion"] != before["disclosure"]["version"]
    assert after["disclosure"]["version"].startswith(before["disclosure"]["version"])
    assert after["disclosureHash"] == settings["disclosureHash"] != before["disclosureHash"]


def test_the_same_additions_are_the_same_version_and_none_are_the_services_own(reviewer):
    own = reviewer.get(SETTINGS).json["settings"]
    added = change(reviewer, disclosureAdditions=ADDITIONS)
    assert change(reviewer, disclosureAdditions=NOTHING_ADDED) == own
    assert change(reviewer, disclosureAdditions=ADDITIONS) == added


def test_who_agreed_to_another_text_is_asked_again(reviewer, anonymous, key):
    before = consent_state(anonymous, key)
    agree = {"key": key.key, "disclosureHash": before["disclosureHash"]}
    assert anonymous.post("/v1/candidate/consent", agree).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    change(reviewer, disclosureAdditions=ADDITIONS)
    after = consent_state(anonymous, key)
    assert not after["alreadyConfirmed"]
    assert refusal(anonymous.post("/v1/candidate/consent", agree)) == (409, "disclosure_outdated")
    agree["disclosureHash"] = after["disclosureHash"]
    assert anonymous.post("/v1/candidate/consent", agree).status_code == 200
    assert consent_state(anonymous, key)["alreadyConfirmed"]
    latest = Consent.select().order_by(Consent.id.desc()).get()
    assert latest.disclosure_version == after["disclosure"]["version"]


def test_neighbours_candidates_read_the_text_without_the_additions(reviewer, key):
    other = Organization.open("Neighbours")[0]
    change(reviewer, disclosureAdditions=ADDITIONS)
    assert disclosure.for_organization(other) == disclosure.current()


# What is held


def test_a_candidate_is_told_what_is_held(clock, reviewer, candidate, key):
    change(reviewer, retentionDays=30, replyTo="hiring@acme.example")
    clock.fixed += timedelta(minutes=1)
    Consent.give(key, "2026-11", "a hash")
    session = sessions.redeem(key.key, "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")
    for minute in (2, 5):
        clock.fixed = key.created_at + timedelta(minutes=minute)
        add_event(session, envelope())
    ClientReport.record(session, "device_start", {"os": "linux"})
    sessions.complete(session)
    shown = told(candidate)
    held = {one["name"]: (one["count"], one["since"], one["until"]) for one in shown.pop("held")}
    assert shown == {
        "candidateId": str(key.id),
        "name": "Alice",
        "email": "alice@example.com",
        "orgName": "Acme",
        "contact": "hiring@acme.example",
        "assessmentTitle": "Backend API Challenge",
        "sessionId": str(session.id),
        "status": "completed",
        "consents": [
            {
                "disclosureVersion": "2026-11",
                "disclosureHash": "a hash",
                "givenAt": "2026-04-01T09:01:00.000Z",
            }
        ],
        "retentionDays": 30,
        "retainedUntil": "2026-05-01T09:05:00.000Z",
        "erasureRequestedAt": None,
    }
    nine, begin, two, end = (f"2026-04-01T09:0{minute}:00.000Z" for minute in (0, 1, 2, 5))
    assert held == {
        "keys": (1, nine, nine),
        "messages": (1, nine, nine),
        "sessions": (1, begin, begin),
        "signingKeys": (1, begin, begin),
        "events": (2, two, end),
        "clientReports": (1, end, end),
    }


def test_before_the_session_there_is_little(clock, reviewer, candidate, key):
    shown = told(candidate)
    assert (shown["sessionId"], shown["consents"], shown["status"]) == (None, [], "pending")
    assert [one["name"] for one in shown["held"]] == ["messages", "keys"]
    assert shown["retainedUntil"] is None
    change(reviewer, retentionDays=1)
    assert told(candidate)["retainedUntil"] == "2026-04-09T09:00:00.000Z"  # the key expires after 7 days


def test_what_reviewers_think_is_theirs(app, reviewer, organization, assessment):
    session = make_closed_session(assessment, envelope())
    sessions.submit_test_result(session, 1, 0, None, "A note about Alice")
    candidate = Caller.candidate(app, CandidateKey.get_by_id(session.key_id))
    for answer in (candidate.get(ME), candidate.get(f"{ME}/export")):
        assert b"A note about Alice" not in answer.data
        assert b"score" not in answer.data.lower()
    assert Score.select().count() == 0


def test_the_session_says_until_when_it_is_kept(clock, reviewer, candidate, key):
    session = make_session(key)
    path = f"/v1/sessions/{session.id}"
    assert (candidate.get(path).json["retainedUntil"], reviewer.get(path).json["retainedUntil"]) == (
        None,
        None,
    )
    change(reviewer, retentionDays=30)
    assert candidate.get(path).json["retainedUntil"] is None  # open, without a limit
    sessions.complete(session)
    for caller in (candidate, reviewer):
        assert caller.get(path).json["retainedUntil"] == "2026-05-01T09:00:00.000Z"


# To take along


def exported(candidate):
    answer = candidate.get(f"{ME}/export")
    assert answer.status_code == 200
    assert answer.mimetype == "application/x-ndjson"
    assert "attachment" in answer.headers["Content-Disposition"]
    return answer.get_data(as_text=True).splitlines()


def test_a_candidate_takes_along_what_came_from_the_own_computer(clock, candidate, key):
    Consent.give(key, None, None)
    session = sessions.redeem(key.key, "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")
    events = [envelope("prompt", at) for at in (2, 1)]
    for event in events:
        add_event(session, event)
    ClientReport.record(session, "workspace_commit", {"commitSha": "abc1234"})
    first, *others = exported(candidate)
    assert json.loads(first) == {"candidate": told(candidate)}
    assert [json.loads(line) for line in others[:2]] == [
        {
            "signingKey": {
                "publicKey": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
                "createdAt": "2026-04-01T09:00:00.000Z",
            }
        },
        {
            "clientReport": {
                "kind": "workspace_commit",
                "data": {"commitSha": "abc1234"},
                "createdAt": "2026-04-01T09:00:00.000Z",
            }
        },
    ]
    assert others[2:] == [json.dumps(event) for event in reversed(events)]


def test_before_the_session_there_is_one_line(candidate):
    assert len(exported(candidate)) == 1


def test_a_candidate_takes_nobody_elses_events_along(candidate, session, assessment):
    make_closed_session(assessment, envelope("prompt", data={"text": "another's"}))
    assert "another's" not in "\n".join(exported(candidate))


# Asking for the erasure


def test_a_request_for_erasure_is_recorded_once_and_reviewers_see_it(
    clock, reviewer, candidate, key, session
):
    path = f"{ME}/erasure-request"
    first = candidate.post(path)
    assert (first.status_code, first.json) == (200, {"erasureRequestedAt": "2026-04-01T09:00:00.000Z"})
    clock.fixed += timedelta(days=1)
    assert candidate.post(path).json == first.json
    (listed,) = reviewer.get("/v1/candidates").json["candidates"]
    (of_assessment,) = reviewer.get(f"/v1/assessments/{key.assessment_id}/keys").json["keys"]
    shown = reviewer.get(f"/v1/sessions/{session.id}").json
    for place in (listed, of_assessment, shown, told(candidate)):
        assert place["erasureRequestedAt"] == "2026-04-01T09:00:00.000Z"


def test_a_request_erases_nothing_by_itself(candidate, session):
    add_event(session, envelope())
    candidate.post(f"{ME}/erasure-request")
    assert {one["name"] for one in told(candidate)["held"]} >= {"events", "keys"}
    assert CandidateKey.get_by_id(session.key_id).candidate_name == "Alice"
