"""Consent, redeem and complete (R11 to R13, R17, R18, R28 to R31; docs/candidate-client.md, 3.3 to 3.5 and 3.12)."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from factories import add_event, envelope, make_assessment, make_issue, make_key, make_session
from response_checks import body_of, error_of, error_paths
from signing import Signer

from models import Consent, Event, Session, SigningKey, disclosure, find_candidate, sessions
from models.accepted_senders import RETENTION
from rules.events.recorded_events import CHANNELS
from rules.rows import row_time
from rules.timestamps import format_timestamp

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
OTHER_PUBLIC_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CONSENT, REDEEM, COMPLETE = "/v1/candidate/consent", "/v1/candidate/redeem", "/v1/candidate/complete"


@pytest.fixture
def limited_key(organization):
    """A pending key with a time limit of 90 minutes."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def consent(anonymous, key, **fields):
    return anonymous.post(CONSENT, {"key": key.key} | fields)


def redeem(anonymous, key, **fields):
    return anonymous.post(REDEEM, {"key": key.key} | fields)


def complete(anonymous, session):
    return anonymous.post(COMPLETE, {"key": session.key.key, "sessionId": str(session.id)})


def get_candidate(key):
    return find_candidate(key, key.id)


def get_status(key):
    return get_candidate(key).status


def public_keys():
    return {row.public_key for row in SigningKey.select()}


# Keys in the body or query (R30)


def errors_of(anonymous, key_text):
    """Return the errors of the four operations with a key in the body or query."""
    body = {"key": key_text, "sessionId": UNKNOWN_ID}
    posts = [anonymous.post(path, body) for path in (CONSENT, REDEEM, COMPLETE)]
    return {error_of(response) for response in (anonymous.get(CONSENT, key=key_text), *posts)}


def test_unknown_revoked_and_deleted_keys_are_not_found(clock, anonymous, organization, assessment, key):
    revoked, redeemed = (make_key(make_assessment(organization)) for _ in range(2))
    make_session(redeemed)
    for row in (revoked, redeemed):
        row.revoke()
    assessment.soft_delete()
    unknown = ("nonsense", "PST-ABCD-1234", "PST-AAAA-AAAA", "PST-AAAA-AAAA-AAAA")
    for now in (clock.now(), key.expires_at):
        clock.fixed = now
        for text in (*unknown, revoked.key, redeemed.key, key.key):
            assert errors_of(anonymous, text) == {(404, "key_not_found")}, text


def test_pending_key_expires(clock, anonymous, key):
    consent(anonymous, key)
    clock.fixed = key.expires_at
    assert errors_of(anonymous, key.key) == {(410, "key_expired")}
    clock.fixed -= timedelta(milliseconds=1)
    assert redeem(anonymous, key).status_code == 200


def test_redeemed_key_does_not_expire(clock, anonymous, key, session):
    clock.fixed = key.expires_at + timedelta(days=30)
    assert anonymous.get(CONSENT, key=key.key).status_code == 200
    assert redeem(anonymous, key).status_code == 200
    assert complete(anonymous, session).status_code == 200


@pytest.mark.parametrize("form", [str.lower, str.title, " {} ".format, "\n{}\t".format])
def test_key_is_case_insensitive_and_whitespace_is_ignored(anonymous, key, form):
    body = {"key": form(key.key)}
    assert anonymous.get(CONSENT, **body).status_code == 200
    assert anonymous.post(CONSENT, body).status_code == 200
    session_id = anonymous.post(REDEEM, body).json["sessionId"]
    assert anonymous.post(COMPLETE, body | {"sessionId": session_id}).status_code == 200


@pytest.mark.parametrize("path", [CONSENT, REDEEM, COMPLETE])
def test_key_is_a_required_string(anonymous, path):
    for body in ({}, {"key": None}, {"key": 7}, {"key": ["PST-AAAA-AAAA"]}, {"key": {}}):
        assert error_paths(anonymous.post(path, {"sessionId": UNKNOWN_ID} | body)) == [["key"]]


# Consent (R28)


def test_disclosure_accepts_the_key_in_query_or_header(clock, anonymous, candidate, key):
    current = disclosure.for_organization(key.organization, has_client=False)
    response = anonymous.get(CONSENT, key=key.key)
    assert candidate.get(CONSENT).json == response.json
    assert error_paths(anonymous.get(CONSENT)) == [["key"]]
    assert body_of(response) == {
        "alreadyConfirmed": False,
        "consentRequired": False,
        "disclosureHash": current["hash"],
        "disclosure": {
            "version": current["version"],
            "captures": current["captures"],
            "doesNotCapture": current["does_not_capture"],
            "evaluated": current["evaluated"],
            "dataUse": current["data_use"],
            "tosUrl": "",
        },
        "assessmentTitle": "Backend API Challenge",
        "role": "Senior Backend Engineer",
        "orgName": "Acme",
        "timeLimitMinutes": None,
        "status": "pending",
        "expiresAt": "2026-04-08T09:00:00.000Z",
    }


def test_disclosure_hash_covers_version_and_content(organization):
    content = disclosure.for_organization(organization, has_client=False)
    confirmed_hash = content.pop("hash")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert confirmed_hash == hashlib.sha256(canonical.encode()).hexdigest()


def test_disclosure_names_what_is_stored_and_how_long(organization):
    text = str(disclosure.for_organization(organization, has_client=False))
    names = ("outside the workspace", "login name", "Anthropic or OpenAI", "before the start")
    assert [name for name in (*names, f"{RETENTION.days} days") if name not in text] == []


def test_disclosure_describes_the_client_only_where_candidates_can_use_it(app, anonymous, key, monkeypatch):
    def get_text():
        return str(body_of(anonymous.get(CONSENT, key=key.key))["disclosure"])

    assert not re.search("Promptster|editor|extension", get_text())
    monkeypatch.setitem(app.config, "CLIENT_INSTALL", "npm install -g ./client.tgz")
    assert "In the editor" in get_text()


def test_consent_to_the_current_disclosure_is_recorded_once(anonymous, key):
    current = disclosure.for_organization(key.organization, has_client=False)
    for _ in range(3):
        assert body_of(consent(anonymous, key, disclosureHash=current["hash"])) == {"ok": True}
    assert anonymous.get(CONSENT, key=key.key).json["alreadyConfirmed"] is True
    (row,) = Consent.select()
    assert (row.disclosure_version, row.disclosure_hash) == (current["version"], current["hash"])
    assert row.channels == list(CHANNELS) == current["channels"]


@pytest.mark.parametrize("fields", [{}, {"disclosureHash": None}, {"disclosureHash": ""}])
def test_consent_without_a_hash_records_no_version_and_no_channels(anonymous, key, fields):
    assert consent(anonymous, key, **fields).status_code == 200
    row = Consent.get()
    assert row.key_id == key.id
    assert (row.disclosure_version, row.disclosure_hash, row.channels) == (None, None, None)
    assert anonymous.get(CONSENT, key=key.key).json["alreadyConfirmed"] is False


def test_consent_to_an_outdated_disclosure_is_rejected(anonymous, key):
    assert error_of(consent(anonymous, key, disclosureHash="0" * 64)) == (409, "disclosure_outdated")
    assert Consent.select().count() == 0


def test_redeem_requires_consent_with_the_same_key(anonymous, assessment, key):
    consent(anonymous, make_key(assessment))
    assert error_of(redeem(anonymous, key, signingPubKey=PUBLIC_KEY)) == (403, "consent_required")
    assert Session.select().count() == SigningKey.select().count() == 0


def test_redeem_requires_consent_to_the_current_disclosure(anonymous, reviewer, key):
    outdated = body_of(anonymous.get(CONSENT, key=key.key))["disclosureHash"]
    consent(anonymous, key, disclosureHash=outdated)
    body_of(reviewer.patch("/v1/org/settings", {"retentionDays": 180}))
    assert error_of(redeem(anonymous, key)) == (403, "consent_required")
    current = body_of(anonymous.get(CONSENT, key=key.key))
    assert not current["alreadyConfirmed"]
    consent(anonymous, key, disclosureHash=current["disclosureHash"])
    body_of(redeem(anonymous, key))


# Redeem


def test_redeem_starts_the_session_and_returns_the_task(clock, anonymous, organization):
    commit = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    repository = {"repo_url": "https://example.com/orders", "repo_commit": commit, "repo_subdir": "orders"}
    issue = make_issue(**repository, setup_instructions="make deps", reference_sha=commit[::-1])
    assessment = make_assessment(organization, issue_id=issue.id, time_limit_minutes=90)
    key = make_key(assessment)
    consent(anonymous, key)
    assert body_of(redeem(anonymous, key, signingPubKey=PUBLIC_KEY)) == {
        "sessionId": str(Session.get().id),
        "sessionToken": key.key,
        "assessmentId": str(assessment.id),
        "assessmentTitle": "Backend API Challenge",
        "orgName": "Acme",
        "taskBrief": "Fix it.",
        "brief": None,
        "repoUrl": "https://example.com/orders",
        "repoCommit": commit,
        "repoSubdir": "orders",
        "setupInstructions": "make deps",
        "timeLimitMinutes": 90,
        "issueId": str(issue.id),
        "expiresAt": "2026-04-02T10:35:00.000Z",
        "tosAccepted": True,
        "allowedTools": None,
    }
    candidate = get_candidate(key)
    assert (candidate.status, row_time(candidate.redeemed_at)) == ("active", format_timestamp(clock.now()))


@pytest.mark.parametrize(
    ("allowed", "returned"), [(None, None), (["claude"], ["claude"]), (["codex", "web_search"], ["codex"])]
)
def test_redeem_returns_only_allowed_agents(anonymous, assessment, key, allowed, returned):
    assessment.update_columns(allowed_tools=allowed)
    consent(anonymous, key)
    assert redeem(anonymous, key).json["allowedTools"] == returned


def test_signing_key_must_be_base64_of_32_bytes(anonymous, key):
    consent(anonymous, key)
    for invalid in ("nonsense", PUBLIC_KEY[:-4], PUBLIC_KEY + "AAAA", PUBLIC_KEY.replace("/", "_"), 7):
        assert error_paths(redeem(anonymous, key, signingPubKey=invalid)) == [["signingPubKey"]]
    assert Session.select().count() == 0
    for fields in ({}, {"signingPubKey": None}, {"signingPubKey": ""}):
        assert redeem(anonymous, key, **fields).status_code == 200
    assert public_keys() == set()


# Repeated redemption (R31)


def test_redeem_can_be_repeated_before_the_first_event(clock, anonymous, limited_key):
    consent(anonymous, limited_key)
    first = redeem(anonymous, limited_key, signingPubKey=PUBLIC_KEY)
    clock.fixed += timedelta(minutes=10)
    second = redeem(anonymous, limited_key, signingPubKey=OTHER_PUBLIC_KEY)
    assert (second.status_code, second.json) == (200, first.json)
    redeem(anonymous, limited_key, signingPubKey=PUBLIC_KEY)
    assert public_keys() == {PUBLIC_KEY, OTHER_PUBLIC_KEY}
    assert Session.select().count() == 1


def test_session_keeps_its_latest_20_public_keys(anonymous, candidate, key):
    consent(anonymous, key)
    signers = [Signer(number) for number in range(22)]
    for signer in signers[:21]:
        assert redeem(anonymous, key, signingPubKey=signer.public_key).status_code == 200
    session = Session.get()
    latest = [signer.public_key for signer in reversed(signers[1:21])]
    assert SigningKey.of(session) == latest
    for signer in signers[:2]:
        assert candidate.post("/v1/hooks/ingest", signer.event(session)).status_code == 201
    assert [event.verdict for event in Event.select().order_by(Event.seq)] == ["invalid", "valid"]
    # Each key could have signed events by now.
    sessions.allow_redeem(session)
    assert redeem(anonymous, key, signingPubKey=signers[21].public_key).status_code == 200
    assert SigningKey.of(session) == [signers[21].public_key, *latest]


def test_closed_session_cannot_be_redeemed(clock, anonymous, key, session, limited_key):
    sessions.allow_redeem(session)
    sessions.complete(session)
    assert error_of(redeem(anonymous, key)) == (409, "already_redeemed")
    make_session(limited_key)
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert redeem(anonymous, limited_key).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert error_of(redeem(anonymous, limited_key)) == (409, "already_redeemed")


# Complete


def test_complete_closes_the_session_and_is_idempotent(clock, anonymous, key, session):
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(minutes=40, milliseconds=7)
    completed_at = format_timestamp(clock.now())
    for pause in (timedelta(), timedelta(minutes=1), timedelta(days=100)):
        clock.fixed += pause
        assert body_of(complete(anonymous, session)) == {"ok": True, "completedAt": completed_at}
    candidate = get_candidate(key)
    assert (candidate.status, row_time(candidate.completed_at)) == ("completed", completed_at)
    assert Session.get_by_id(session.id).prompt_count == 1


def test_complete_requires_the_keys_session(anonymous, assessment, key):
    body = {"key": key.key}
    assert error_of(anonymous.post(COMPLETE, body | {"sessionId": UNKNOWN_ID})) == (409, "not_redeemed")
    make_session(key)
    other = make_session(make_key(assessment))
    for invalid_id in (UNKNOWN_ID, "nonsense", "", str(other.id)):
        assert error_of(anonymous.post(COMPLETE, body | {"sessionId": invalid_id})) == (404, "not_found")
    for invalid in ({}, {"sessionId": None}, {"sessionId": 7}):
        assert error_paths(anonymous.post(COMPLETE, body | invalid)) == [["sessionId"]]
    assert Session.select().where(Session.closed_at.is_null()).count() == 2


@pytest.mark.parametrize("is_closed", [False, True])
def test_session_can_be_completed_for_ten_minutes_after_its_limit(clock, anonymous, limited_key, is_closed):
    session = make_session(limited_key)
    closes_at = clock.now() + timedelta(minutes=95)
    clock.fixed = closes_at + timedelta(minutes=10, milliseconds=-1)
    if is_closed:
        sessions.close_due(session)
        assert get_status(limited_key) == "expired"
    completed_at = clock.now()
    for _ in range(2):
        assert complete(anonymous, session).json["completedAt"] == "2026-04-01T10:44:59.999Z"
        row = Session.get_by_id(session.id)
        assert (row.closed_at, row.completed_at) == (closes_at, completed_at)
        assert get_status(limited_key) == "completed"
        clock.fixed += timedelta(days=1)


def test_expired_session_cannot_be_completed(clock, anonymous, key, session, limited_key):
    limited = make_session(limited_key)
    clock.fixed += timedelta(minutes=30)
    sessions.close(session)
    clock.fixed += timedelta(minutes=75, milliseconds=1)
    for expired, closed_at in ((session, "2026-04-01T09:30:00.000Z"), (limited, "2026-04-01T10:35:00.000Z")):
        assert body_of(complete(anonymous, expired))["completedAt"] == closed_at
        candidate = get_candidate(expired.key)
        assert (candidate.status, candidate.completed_at) == ("expired", None)


def test_complete_does_not_extend_the_window_for_events(clock, anonymous, limited_key):
    session = make_session(limited_key)
    clock.fixed += timedelta(minutes=100)
    complete(anonymous, session)
    clock.fixed += timedelta(minutes=5, milliseconds=-1)
    assert add_event(session, envelope()) == "created"
    clock.fixed += timedelta(milliseconds=2)
    assert add_event(session, envelope()) == "late"


def test_candidates_can_work_without_a_subscription(anonymous, candidate, organization, key):
    organization.update_columns(plan="starter")
    organization.subscribe("canceled")
    assert consent(anonymous, key).status_code == 200
    assert redeem(anonymous, key).status_code == 200
    assert candidate.post("/v1/hooks/ingest", envelope()).status_code == 201
    assert complete(anonymous, Session.get()).status_code == 200


@pytest.mark.parametrize("status", ["completed", "expired"])
def test_candidates_do_not_see_that_they_are_hired(clock, reviewer, candidate, anonymous, session, status):
    if status == "completed":
        body_of(complete(anonymous, session))
    else:
        body_of(reviewer.post(f"/v1/sessions/{session.id}/close"))
    clock.fixed += timedelta(days=1)
    path = f"/v1/candidates/{session.key_id}"
    assert (
        body_of(reviewer.put(f"{path}/decision", {"decision": "hired", "reason": "Best"}))["candidate"][
            "status"
        ]
        == "hired"
    )
    own = body_of(candidate.get(f"/v1/sessions/{session.id}")), body_of(candidate.get("/v1/candidate/me"))
    own += (body_of(candidate.get("/v1/candidate/workspace")),)
    own += (body_of(anonymous.get(CONSENT, key=session.key.key)),)
    assert [each.get("status") for each in own] == [status] * 4
    assert '"hired"' not in candidate.get("/v1/candidate/me/export").text
    assert own[0]["updatedAt"] == own[0]["closedAt"]


def test_each_item_of_the_disclosure_is_one_text(anonymous, key):
    current = body_of(anonymous.get(CONSENT, key=key.key))["disclosure"]
    texts = [text for value in current.values() if isinstance(value, list) for text in value]
    assert len(texts) > 10
    assert [text for text in texts if " - " in text] == []
