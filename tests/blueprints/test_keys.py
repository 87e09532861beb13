"""Candidate keys: generate, list, revoke; the specification with R4, R12 to R17, R23 and R25."""

import re
from datetime import timedelta

import pytest
from answers import places, refusal
from factories import make_assessment, make_key, make_keys, make_session

from models import CandidateKey, Delivery, Organization, sessions
from rules import candidate_keys

MEMBERS = {
    "id", "key", "assessmentId", "orgId", "status", "candidateEmail", "candidateName", "sessionId", "expiresAt",
    "redeemedAt", "completedAt", "createdAt", "erasureRequestedAt", "invite", "externalId", "metadata",
}  # fmt: skip
NOWHERE = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def path(assessment):
    return f"/v1/assessments/{assessment.id}/keys"


def issue(reviewer, path, **body):
    """The keys that a request for them answers."""
    answer = reviewer.post(path, body)
    assert answer.status_code == 201, answer.json
    return answer.json["keys"]


# Generate


def test_generate_answers_the_keys(clock, reviewer, organization, assessment, path):
    answer = reviewer.post(
        path, {"count": 1, "candidateEmails": ["alice@example.com"], "candidateNames": ["Alice"]}
    )
    assert answer.status_code == 201
    (key,) = answer.json["keys"]
    assert answer.json == {
        "keys": [
            {
                "id": key["id"],
                "key": key["key"],
                "assessmentId": str(assessment.id),
                "orgId": str(organization.id),
                "status": "pending",
                "candidateEmail": "alice@example.com",
                "candidateName": "Alice",
                "externalId": None,
                "metadata": {},
                "sessionId": None,
                "expiresAt": "2026-04-08T09:00:00.000Z",
                "redeemedAt": None,
                "completedAt": None,
                "createdAt": "2026-04-01T09:00:00.000Z",
                "erasureRequestedAt": None,
                "invite": {"state": "queued", "attempts": 0, "lastError": None, "sentAt": None},
            }
        ]
    }


def test_a_key_looks_like_a_key(reviewer, path):
    for key in issue(reviewer, path, count=50):
        assert re.fullmatch(
            r"PST-[ABCDEFGHJKMNPQRSTVWXYZ23456789]{4}-[ABCDEFGHJKMNPQRSTVWXYZ23456789]{4}", key["key"]
        )


def test_without_addresses_there_is_neither_address_nor_invitation(reviewer, path):
    (key,) = issue(reviewer, path, count=1)
    assert set(key) >= MEMBERS
    assert (key["candidateEmail"], key["candidateName"], key["invite"]) == (None, None, None)
    assert Delivery.select().count() == 0


def test_keys_expire_after_the_assessments_days(clock, reviewer, organization):
    assessment = make_assessment(organization, expires_in_days=30)
    (key,) = issue(reviewer, f"/v1/assessments/{assessment.id}/keys", count=1)
    assert key["expiresAt"] == "2026-05-01T09:00:00.000Z"


@pytest.mark.parametrize("count", [1, 50])
def test_as_many_keys_as_asked_for(reviewer, path, count):
    keys = issue(reviewer, path, count=count)
    assert len({key["key"] for key in keys}) == len({key["id"] for key in keys}) == count


def test_keys_of_one_request_stand_in_its_order(reviewer, path):
    names = [f"Candidate {number}" for number in range(50)]
    keys = issue(reviewer, path, count=50, candidateNames=names)
    assert [key["candidateName"] for key in keys] == names
    assert [key["id"] for key in keys] == sorted(key["id"] for key in keys)
    assert reviewer.get(path).json["keys"] == keys


@pytest.mark.parametrize("wrong", [..., None, 0, 51, -1, "1", 1.0, 1.5, True, [1], 2**63 - 1])
def test_count_is_a_strict_integer_from_1_to_50(reviewer, path, wrong):
    assert places(reviewer.post(path, {} if wrong is ... else {"count": wrong})) == [["count"]]
    assert CandidateKey.select().count() == 0


@pytest.mark.parametrize("addresses", [[], ["a@example.com"], ["a@example.com"] * 3])
def test_there_are_exactly_as_many_addresses_as_keys(reviewer, path, addresses):
    assert places(reviewer.post(path, {"count": 2, "candidateEmails": addresses})) == [["candidateEmails"]]


@pytest.mark.parametrize("names", [[], ["A"], ["A", "B", "C"]])
@pytest.mark.parametrize("addresses", [None, ["a@example.com", "b@example.com"]])
def test_there_are_exactly_as_many_names_as_keys(reviewer, path, names, addresses):
    body = {"count": 2, "candidateNames": names, "candidateEmails": addresses}
    assert places(reviewer.post(path, body)) == [["candidateNames"]]


@pytest.mark.parametrize(
    "wrong",
    [
        "", "nonsense", "a@", "@example.com", "a b@example.com", "a@example.com\nBcc: x@y.z", None, 7,
        "a@example.com, b@example.com", ["a@example.com"], "x" * 250 + "@y.de",
        '"a\u000bb"@y.de', '"a\u0001b"@y.de',
    ],
)  # fmt: skip
def test_each_address_must_be_valid(reviewer, path, wrong):
    body = {"count": 2, "candidateEmails": ["alice@example.com", wrong]}
    assert places(reviewer.post(path, body)) == [["candidateEmails", 1]]
    assert CandidateKey.select().count() == Delivery.select().count() == 0


def test_addresses_are_checked_by_their_form_alone(reviewer, path):
    address = "o'neil+tag@no-such-domain.example"
    assert issue(reviewer, path, count=1, candidateEmails=[address])[0]["candidateEmail"] == address


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 256, "a\nb", "a\x7fb", "a\u2028b", "a\tb", None, 7])
def test_names_are_texts_of_1_to_255_characters_without_control_characters(reviewer, path, wrong):
    assert places(reviewer.post(path, {"count": 1, "candidateNames": [wrong]})) == [["candidateNames", 0]]


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 256, "a\r\nBcc: b@example.com", 7])
def test_the_company_name_is_held_to_the_same(reviewer, path, wrong):
    assert places(reviewer.post(path, {"count": 1, "orgName": wrong})) == [["orgName"]]


def test_names_are_kept_without_outer_white_space(reviewer, path):
    (key,) = issue(reviewer, path, count=1, candidateNames=["  " + "ü" * 255 + " "])
    assert key["candidateName"] == "ü" * 255


def test_one_address_may_be_invited_twice(reviewer, path):
    assert len(issue(reviewer, path, count=2, candidateEmails=["a@example.com"] * 2)) == 2


def test_null_members_equal_left_out_ones_and_unknown_ones_are_ignored(reviewer, path):
    nulls = dict.fromkeys(("candidateEmails", "candidateNames", "orgName"))
    (key,) = issue(reviewer, path, count=1, **nulls, status="hired", key="PST-AAAA-AAAA", sessionId=NOWHERE)
    assert (key["status"], key["sessionId"]) == ("pending", None)
    assert key["key"] != "PST-AAAA-AAAA"


def test_each_address_gets_an_invitation_in_the_companys_name(reviewer, path):
    issue(
        reviewer, path, count=2, candidateEmails=["a@example.com", "b@example.com"], orgName=" Example Ltd "
    )
    invitations = list(Delivery.select().order_by(Delivery.id))
    keys = list(CandidateKey.select().order_by(CandidateKey.id))
    assert [invitation.subject_id for invitation in invitations] == [key.id for key in keys]
    assert [invitation.data for invitation in invitations] == [{"orgName": "Example Ltd"}] * 2


def test_the_company_name_defaults_to_the_organizations(reviewer, organization, path):
    issue(reviewer, path, count=1, candidateEmails=["a@example.com"])
    assert Delivery.get().data == {"orgName": Organization.get_by_id(organization.id).name}


def test_a_key_that_was_drawn_before_is_drawn_again(reviewer, path, assessment, monkeypatch):
    old, new = make_key(assessment), candidate_keys.generate()
    drawn = iter([old.key, new])
    monkeypatch.setattr(candidate_keys, "generate", lambda: next(drawn))
    assert issue(reviewer, path, count=1)[0]["key"] == new


def test_the_key_of_a_revoked_candidate_is_never_given_again(reviewer, path, assessment, monkeypatch):
    old, new = make_key(assessment), candidate_keys.generate()
    old.revoke()
    drawn = iter([old.key, new])
    monkeypatch.setattr(candidate_keys, "generate", lambda: next(drawn))
    assert issue(reviewer, path, count=1)[0]["key"] == new


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_there_are_no_keys_to_an_unknown_assessment(reviewer, wrong):
    assert refusal(reviewer.post(f"/v1/assessments/{wrong}/keys", {"count": 1})) == (404, "not_found")
    assert refusal(reviewer.get(f"/v1/assessments/{wrong}/keys")) == (404, "not_found")


def test_a_neighbour_can_neither_generate_nor_list(neighbour, path):
    assert refusal(neighbour.post(path, {"count": 1})) == (404, "not_found")
    assert refusal(neighbour.get(path)) == (404, "not_found")


# List


def test_list_is_in_the_order_of_creation_and_in_the_same_shape(clock, reviewer, path):
    first = issue(reviewer, path, count=2)
    clock.fixed += timedelta(minutes=1)
    second = issue(reviewer, path, count=2)
    answer = reviewer.get(path)
    assert (answer.status_code, answer.json) == (200, {"keys": first + second})


def test_list_shows_this_assessments_keys_only(reviewer, organization, assessment, path):
    make_keys(make_assessment(organization), 2)
    (key,) = make_keys(assessment, 1)
    assert [shown["id"] for shown in reviewer.get(path).json["keys"]] == [str(key.id)]


def shown(reviewer, path):
    (key,) = reviewer.get(path).json["keys"]
    assert set(key) >= MEMBERS
    return key


def test_a_redeemed_key_is_active_and_names_its_session(clock, reviewer, key, path):
    session = make_session(key)
    seen = shown(reviewer, path)
    assert (seen["status"], seen["sessionId"]) == ("active", str(session.id))
    assert (seen["redeemedAt"], seen["completedAt"]) == ("2026-04-01T09:00:00.000Z", None)


def test_a_completed_key_says_when(clock, reviewer, key, session, path):
    clock.fixed += timedelta(minutes=30)
    sessions.complete(session)
    seen = shown(reviewer, path)
    assert (seen["status"], seen["completedAt"]) == ("completed", "2026-04-01T09:30:00.000Z")


def test_a_pending_key_reads_expired_from_its_expiry_on(clock, reviewer, key, path):
    clock.fixed = key.expires_at - timedelta(milliseconds=1)
    assert shown(reviewer, path)["status"] == "pending"
    clock.fixed = key.expires_at
    assert shown(reviewer, path)["status"] == "expired"


def test_an_active_key_reads_expired_from_the_limits_close_on(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=90)
    make_session(make_key(assessment))
    path = f"/v1/assessments/{assessment.id}/keys"
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert shown(reviewer, path)["status"] == "active"
    clock.fixed += timedelta(milliseconds=1)
    seen = shown(reviewer, path)
    assert (seen["status"], seen["completedAt"]) == ("expired", None)


def test_a_list_closes_nothing(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=1)
    session = make_session(make_key(assessment))
    clock.fixed += timedelta(hours=1)
    reviewer.get(f"/v1/assessments/{assessment.id}/keys")
    reviewer.get("/v1/candidates")
    assert type(session).get_by_id(session.id).closed_at is None


# Revoke


def test_revoke_answers_ok_and_the_id(reviewer, key, path):
    answer = reviewer.delete(f"{path}/{key.id}")
    assert (answer.status_code, answer.json) == (200, {"ok": True, "id": str(key.id)})


def test_a_revoked_key_is_in_no_list_and_authenticates_no_more(reviewer, candidate, key, path):
    reviewer.delete(f"{path}/{key.id}")
    assert reviewer.get(path).json == {"keys": []}
    assert reviewer.get("/v1/candidates").json["total"] == 0
    assert candidate.get("/v1/me").status_code == 401


def test_revoke_again_is_404(reviewer, key, path):
    reviewer.delete(f"{path}/{key.id}")
    assert refusal(reviewer.delete(f"{path}/{key.id}")) == (404, "not_found")


def test_a_key_is_revoked_at_its_own_assessment_only(reviewer, organization, key):
    other = make_assessment(organization)
    for wrong in (other.id, NOWHERE, "nonsense"):
        assert refusal(reviewer.delete(f"/v1/assessments/{wrong}/keys/{key.id}")) == (404, "not_found")
    assert CandidateKey.get_by_id(key.id).revoked_at is None


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_an_unknown_key_cannot_be_revoked(reviewer, path, wrong):
    assert refusal(reviewer.delete(f"{path}/{wrong}")) == (404, "not_found")


def test_a_neighbour_revokes_nothing(neighbour, key, path):
    assert refusal(neighbour.delete(f"{path}/{key.id}")) == (404, "not_found")
    assert CandidateKey.get_by_id(key.id).revoked_at is None
