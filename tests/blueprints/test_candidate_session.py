"""Consent and redeem, and keys in body and query (R12, R13, R28, R30, R31; the client contract, 3.3 to 3.5)."""

from datetime import timedelta

import pytest
from answers import places, refusal
from factories import add_event, envelope, make_assessment, make_issue, make_key, make_session

from models import Consent, Session, SigningKey, disclosure, find_candidate, sessions
from rules.rows import row_time
from rules.timestamps import format_timestamp

NOWHERE = "00000000-0000-7000-8000-000000000000"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
OTHER_PUBLIC_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CONSENT, REDEEM, COMPLETE = "/v1/candidate/consent", "/v1/candidate/redeem", "/v1/candidate/complete"


@pytest.fixture
def limited_key(organization):
    """A pending key to an assessment of 90 minutes."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def consent(anonymous, key, **members):
    return anonymous.post(CONSENT, {"key": key.key} | members)


def redeem(anonymous, key, **members):
    return anonymous.post(REDEEM, {"key": key.key} | members)


# The key in body or query (R30)


def with_key(anonymous, text):
    """The answers of the four operations that take a key outside the header."""
    body = {"key": text, "sessionId": NOWHERE}
    return [
        anonymous.get(CONSENT, key=text),
        *(anonymous.post(path, body) for path in (CONSENT, REDEEM, COMPLETE)),
    ]


@pytest.mark.parametrize("text", ["nonsense", "PST-ABCD-1234", "PST-AAAA-AAAA", "PST-AAAA-AAAA-AAAA"])
def test_an_unknown_key_is_404(anonymous, text):
    assert {refusal(answer) for answer in with_key(anonymous, text)} == {(404, "key_not_found")}


def test_a_revoked_key_is_404(anonymous, key):
    key.revoke()
    assert {refusal(answer) for answer in with_key(anonymous, key.key)} == {(404, "key_not_found")}


def test_a_redeemed_key_that_was_revoked_is_404(anonymous, key, session):
    key.revoke()
    assert {refusal(answer) for answer in with_key(anonymous, key.key)} == {(404, "key_not_found")}


def test_a_key_of_a_deleted_assessment_is_404(anonymous, assessment, key):
    assessment.delete_softly()
    assert {refusal(answer) for answer in with_key(anonymous, key.key)} == {(404, "key_not_found")}


def test_a_key_that_expired_before_it_was_redeemed_is_410(clock, anonymous, key):
    consent(anonymous, key)
    clock.fixed = key.expires_at
    assert {refusal(answer) for answer in with_key(anonymous, key.key)} == {(410, "key_expired")}
    clock.fixed -= timedelta(milliseconds=1)
    assert redeem(anonymous, key).status_code == 200


def test_a_revoked_key_that_expired_is_404_still(clock, anonymous, key):
    key.revoke()
    clock.fixed = key.expires_at
    assert {refusal(answer) for answer in with_key(anonymous, key.key)} == {(404, "key_not_found")}


def test_a_redeemed_key_does_not_expire(clock, anonymous, key, session):
    clock.fixed = key.expires_at + timedelta(days=30)
    assert anonymous.get(CONSENT, key=key.key).status_code == 200
    assert redeem(anonymous, key).status_code == 200
    body = {"key": key.key, "sessionId": str(session.id)}
    assert anonymous.post(COMPLETE, body).status_code == 200


@pytest.mark.parametrize("form", [str.lower, str.title, " {} ".format, "\n{}\t".format])
def test_a_key_counts_in_any_letter_case_and_with_white_space(anonymous, key, form):
    body = {"key": form(key.key)}
    assert anonymous.get(CONSENT, **body).status_code == 200
    assert anonymous.post(CONSENT, body).status_code == 200
    session_id = anonymous.post(REDEEM, body).json["sessionId"]
    assert anonymous.post(COMPLETE, body | {"sessionId": session_id}).status_code == 200


@pytest.mark.parametrize("path", [CONSENT, REDEEM, COMPLETE])
@pytest.mark.parametrize("wrong", [..., None, 7, ["PST-AAAA-AAAA"], {}])
def test_the_key_is_a_required_text(anonymous, path, wrong):
    body = {"sessionId": NOWHERE} | ({} if wrong is ... else {"key": wrong})
    assert places(anonymous.post(path, body)) == [["key"]]


# Consent (R28)


def test_the_disclosure_is_shown(clock, anonymous, key):
    answer = anonymous.get(CONSENT, key=key.key)
    assert answer.status_code == 200
    current = disclosure.current()
    assert answer.json == {
        "alreadyConfirmed": False,
        "disclosureHash": current["hash"],
        "disclosure": {
            "version": current["version"],
            "captures": current["captures"],
            "doesNotCapture": current["does_not_capture"],
            "evaluated": current["evaluated"],
            "dataUse": current["data_use"],
            "tosUrl": None,
        },
        "assessmentTitle": "Backend API Challenge",
        "orgName": "Acme",
        "timeLimitMinutes": None,
        "status": "pending",
        "expiresAt": key_expiry(key),
    }
    assert all(current[name] for name in ("captures", "does_not_capture", "evaluated", "data_use"))


def key_expiry(key):
    return key.expires_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{key.expires_at.microsecond // 1000:03}Z"


def test_the_key_may_stand_in_the_header_of_the_look_up(anonymous, candidate):
    assert candidate.get(CONSENT).status_code == 200
    assert places(anonymous.get(CONSENT)) == [["key"]]


def test_consent_to_the_current_text_is_confirmed(anonymous, key):
    answer = consent(anonymous, key, disclosureHash=disclosure.current()["hash"])
    assert (answer.status_code, answer.json) == (200, {"ok": True})
    assert anonymous.get(CONSENT, key=key.key).json["alreadyConfirmed"] is True
    given = Consent.get()
    assert (given.disclosure_version, given.disclosure_hash) == (
        disclosure.current()["version"],
        disclosure.current()["hash"],
    )


@pytest.mark.parametrize("members", [{}, {"disclosureHash": None}, {"disclosureHash": ""}])
def test_consent_without_a_hash_is_recorded_without_version_and_hash(anonymous, key, members):
    assert consent(anonymous, key, **members).status_code == 200
    given = Consent.get()
    assert (given.key_id, given.disclosure_version, given.disclosure_hash) == (key.id, None, None)
    assert anonymous.get(CONSENT, key=key.key).json["alreadyConfirmed"] is False


def test_consent_is_idempotent(anonymous, key):
    for _ in range(3):
        assert consent(anonymous, key, disclosureHash=disclosure.current()["hash"]).status_code == 200
    assert Consent.select().count() == 1


def test_consent_to_another_text_is_409_and_not_recorded(anonymous, key):
    assert refusal(consent(anonymous, key, disclosureHash="0" * 64)) == (409, "disclosure_outdated")
    assert Consent.select().count() == 0
    assert refusal(redeem(anonymous, key)) == (403, "consent_required")


def test_redeem_without_consent_is_403_and_begins_nothing(anonymous, key):
    assert refusal(redeem(anonymous, key, signingPubKey=PUBLIC_KEY)) == (403, "consent_required")
    assert Session.select().count() == SigningKey.select().count() == 0


def test_the_consent_of_another_candidate_does_not_count(anonymous, assessment, key):
    consent(anonymous, make_key(assessment))
    assert refusal(redeem(anonymous, key)) == (403, "consent_required")


# Redeem


def test_redeem_answers_all_that_the_client_needs(clock, anonymous, organization):
    commit = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    issue = make_issue(
        repo_url="https://github.com/example/orders", repo_commit=commit, repo_subdir="orders",
        setup_instructions="make deps", reference_sha=commit[::-1],
    )  # fmt: skip
    assessment = make_assessment(organization, issue_id=issue.id, time_limit_minutes=90)
    key = make_key(assessment)
    consent(anonymous, key)
    answer = redeem(anonymous, key, signingPubKey=PUBLIC_KEY)
    session = Session.get()
    assert answer.status_code == 200
    assert answer.json == {
        "sessionId": str(session.id),
        "sessionToken": key.key,
        "assessmentId": str(assessment.id),
        "assessmentTitle": "Backend API Challenge",
        "orgName": "Acme",
        "taskBrief": "Fix it.",
        "brief": None,
        "repoUrl": "https://github.com/example/orders",
        "repoCommit": commit,
        "repoSubdir": "orders",
        "setupInstructions": "make deps",
        "timeLimitMinutes": 90,
        "issueId": str(issue.id),
        "expiresAt": "2026-04-02T10:35:00.000Z",
        "tosAccepted": True,
        "allowedTools": None,
    }


def test_without_a_limit_the_client_keeps_its_state(anonymous, key):
    consent(anonymous, key)
    answer = redeem(anonymous, key)
    nulls = {name for name, value in answer.json.items() if value is None}
    assert nulls == {
        "brief", "repoUrl", "repoCommit", "repoSubdir", "setupInstructions", "timeLimitMinutes", "issueId",
        "expiresAt", "allowedTools",
    }  # fmt: skip


def test_a_redeemed_key_is_active(clock, anonymous, key):
    consent(anonymous, key)
    redeem(anonymous, key)
    record = find_candidate(key, key.id)
    assert (record.status, row_time(record.redeemed_at)) == ("active", format_timestamp(clock.now()))


@pytest.mark.parametrize(
    "wrong", ["nonsense", PUBLIC_KEY[:-4], PUBLIC_KEY + "AAAA", PUBLIC_KEY.replace("/", "_"), 7]
)
def test_a_signing_key_is_the_base64_of_32_bytes(anonymous, key, wrong):
    consent(anonymous, key)
    assert places(redeem(anonymous, key, signingPubKey=wrong)) == [["signingPubKey"]]
    assert Session.select().count() == 0


@pytest.mark.parametrize("missing", [{}, {"signingPubKey": None}, {"signingPubKey": ""}])
def test_a_session_without_a_signing_key_is_unsigned(anonymous, key, missing):
    consent(anonymous, key)
    assert redeem(anonymous, key, **missing).status_code == 200
    assert SigningKey.select().count() == 0


def test_unknown_members_are_ignored(anonymous, key):
    consent(anonymous, key)
    answer = redeem(anonymous, key, candidateName="Bob", sessionId=NOWHERE, later=[1])
    assert answer.status_code == 200
    assert answer.json["sessionId"] != NOWHERE


# Redeem again (R31)


def public_keys():
    return {row.public_key for row in SigningKey.select()}


def test_a_lost_answer_is_given_again_with_every_public_key_kept(clock, anonymous, limited_key):
    consent(anonymous, limited_key)
    first = redeem(anonymous, limited_key, signingPubKey=PUBLIC_KEY)
    clock.fixed += timedelta(minutes=10)
    second = redeem(anonymous, limited_key, signingPubKey=OTHER_PUBLIC_KEY)
    assert (second.status_code, second.json) == (200, first.json)
    redeem(anonymous, limited_key, signingPubKey=PUBLIC_KEY)
    assert public_keys() == {PUBLIC_KEY, OTHER_PUBLIC_KEY}
    assert Session.select().count() == 1


def test_after_the_first_event_a_key_is_redeemed(anonymous, key, session):
    add_event(session, envelope())
    assert refusal(redeem(anonymous, key, signingPubKey=OTHER_PUBLIC_KEY)) == (409, "already_redeemed")
    assert public_keys() == set()


def test_after_the_completion_a_key_is_redeemed(anonymous, key, session):
    sessions.complete(session)
    assert refusal(redeem(anonymous, key)) == (409, "already_redeemed")


def test_after_the_limits_close_a_key_is_redeemed(clock, anonymous, limited_key):
    make_session(limited_key)
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert redeem(anonymous, limited_key).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert refusal(redeem(anonymous, limited_key)) == (409, "already_redeemed")


def test_what_a_reviewer_allowed_ends_with_the_session(anonymous, key, session):
    add_event(session, envelope())
    sessions.allow_redeem(session)
    sessions.complete(session)
    assert refusal(redeem(anonymous, key)) == (409, "already_redeemed")


def test_an_allowed_redeem_adds_the_new_public_key(anonymous, key, session):
    add_event(session, envelope())
    sessions.allow_redeem(session)
    answer = redeem(anonymous, key, signingPubKey=OTHER_PUBLIC_KEY)
    assert (answer.status_code, answer.json["sessionId"]) == (200, str(session.id))
    assert public_keys() == {OTHER_PUBLIC_KEY}
