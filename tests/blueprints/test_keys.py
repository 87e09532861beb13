"""Candidate keys: generate, list, revoke (R4, R12 to R17, R23, R25)."""

import re
from datetime import timedelta

import pytest
from factories import make_assessment, make_key, make_keys, make_session
from response_checks import body_of, error_of, error_paths

from models import CandidateKey, Delivery, Session
from rules import candidate_keys


def path_of(assessment):
    return f"/v1/assessments/{assessment.id}/keys"


@pytest.fixture
def path(assessment):
    return path_of(assessment)


def generate_keys(reviewer, path, **body):
    return body_of(reviewer.post(path, body), 201)["keys"]


def test_generated_keys_are_returned(clock, reviewer, organization, assessment, path):
    (key,) = generate_keys(
        reviewer, path, count=1, candidateEmails=["alice@example.com"], candidateNames=["Alice"]
    )
    assert key == {
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
        "updatedAt": "2026-04-01T09:00:00.000Z",
        "erasureRequestedAt": None,
        "decision": "undecided",
        "decisionReason": None,
        "decisionFindingReason": None,
        "decidedAt": None,
        "decidedBy": None,
        "invite": {"state": "queued", "attempts": 0, "lastError": None, "sentAt": None},
    }


def test_expires_in_days_overrides_the_assessments_default(clock, reviewer, organization, path):
    (key,) = generate_keys(reviewer, path_of(make_assessment(organization, expires_in_days=30)), count=1)
    assert key["expiresAt"] == "2026-05-01T09:00:00.000Z"
    (key,) = generate_keys(reviewer, path, count=1, expiresInDays=30)
    assert key["expiresAt"] == "2026-05-01T09:00:00.000Z"
    candidates = [{"email": "alice@example.com", "externalId": "a-1"}]
    (key,) = generate_keys(
        reviewer, path, count=1, expiresInDays=1, candidates=candidates, onDuplicate="return"
    )
    assert key["expiresAt"] == "2026-04-02T09:00:00.000Z"
    for days in (0, 366, "7"):
        assert error_paths(reviewer.post(path, {"count": 1, "expiresInDays": days})) == [["expiresInDays"]]


def test_keys_are_distinct_well_formed_and_in_request_order(reviewer, organization, path):
    make_keys(make_assessment(organization), 2)
    names = [f"Candidate {number}" for number in range(50)]
    keys = generate_keys(reviewer, path, count=50, candidateNames=names)
    letters = "[ABCDEFGHJKMNPQRSTVWXYZ23456789]"
    assert all(re.fullmatch(f"PST-{letters}{{4}}-{letters}{{4}}", key["key"]) for key in keys)
    assert len({key["key"] for key in keys}) == len({key["id"] for key in keys}) == 50
    assert [key["candidateName"] for key in keys] == names
    assert reviewer.get(path).json["keys"] == keys == sorted(keys, key=lambda key: key["id"])


@pytest.mark.parametrize("count", [..., None, 0, 51, -1, "1", 1.0, 1.5, True, [1], 2**63 - 1])
def test_count_must_be_an_integer_from_1_to_50(reviewer, path, count):
    assert error_paths(reviewer.post(path, {} if count is ... else {"count": count})) == [["count"]]
    assert CandidateKey.select().count() == 0


@pytest.mark.parametrize(("field", "entry"), [("candidateEmails", "a@example.com"), ("candidateNames", "A")])
def test_addresses_and_names_must_match_the_key_count(reviewer, path, field, entry):
    for entries in ([], [entry], [entry] * 3, [1] * 99_000):
        assert error_paths(reviewer.post(path, {"count": 2, field: entries})) == [[field]], len(entries)


@pytest.mark.parametrize(
    "invalid",
    [
        "", "nonsense", "a@", "@example.com", "a b@example.com", "a@example.com\nBcc: x@y.z", None, 7,
        "a@example.com, b@example.com", ["a@example.com"], "x" * 250 + "@y.de",
        '"a\u000bb"@y.de', '"a\u0001b"@y.de',
    ],
)  # fmt: skip
def test_every_address_must_be_valid(reviewer, path, invalid):
    body = {"count": 2, "candidateEmails": ["alice@example.com", invalid]}
    assert error_paths(reviewer.post(path, body)) == [["candidateEmails", 1]]
    assert CandidateKey.select().count() == Delivery.select().count() == 0


def test_an_address_can_have_several_keys(reviewer, path):
    address = "o'neil+tag@no-such-domain.example"
    keys = generate_keys(reviewer, path, count=2, candidateEmails=[address] * 2)
    keys += generate_keys(reviewer, path, count=1, candidateEmails=[address])
    assert [key["candidateEmail"] for key in keys] == [address] * 3
    assert len({key["id"] for key in keys}) == 3


def test_names_are_trimmed_lines_of_1_to_255_characters(reviewer, path):
    (key,) = generate_keys(reviewer, path, count=1, candidateNames=["  " + "ü" * 255 + " "])
    assert key["candidateName"] == "ü" * 255
    for invalid in ("", "  ", "x" * 256, "a\r\nb", "a\x7fb", "a\u2028b", "a\tb", 7):
        response = reviewer.post(path, {"count": 1, "candidateNames": [invalid]})
        assert error_paths(response) == [["candidateNames", 0]], invalid
        assert error_paths(reviewer.post(path, {"count": 1, "orgName": invalid})) == [["orgName"]], invalid


def test_null_counts_as_omitted_and_unknown_fields_are_ignored(reviewer, path):
    nulls = dict.fromkeys(("candidateEmails", "candidateNames", "orgName"))
    (key,) = generate_keys(reviewer, path, count=1, **nulls, status="hired", key="PST-AAAA-AAAA")
    assert key["status"] == "pending"
    assert key["key"] != "PST-AAAA-AAAA"


@pytest.mark.parametrize(("org_name", "expected"), [(" Example Ltd ", "Example Ltd"), (None, "Acme")])
def test_invitations_contain_the_company_name(reviewer, path, org_name, expected):
    generate_keys(
        reviewer, path, count=2, candidateEmails=["a@example.com", "b@example.com"], orgName=org_name
    )
    invitations = list(Delivery.select().order_by(Delivery.id))
    keys = list(CandidateKey.select().order_by(CandidateKey.id))
    assert [invitation.subject_id for invitation in invitations] == [key.id for key in keys]
    assert [invitation.data for invitation in invitations] == [{"orgName": expected}] * 2


@pytest.mark.parametrize("is_revoked", [False, True])
def test_a_generated_key_is_never_reused(reviewer, path, assessment, monkeypatch, is_revoked):
    old, new = make_key(assessment), candidate_keys.generate()
    if is_revoked:
        old.revoke()
    random_keys = iter([old.key, new])
    monkeypatch.setattr(candidate_keys, "generate", lambda: next(random_keys))
    assert generate_keys(reviewer, path, count=1)[0]["key"] == new


def get_only_key(reviewer, assessment):
    (key,) = reviewer.get(path_of(assessment)).json["keys"]
    return key


def test_a_pending_key_expires_on_time(clock, reviewer, assessment, key):
    clock.fixed = key.expires_at - timedelta(milliseconds=1)
    assert get_only_key(reviewer, assessment)["status"] == "pending"
    clock.fixed = key.expires_at
    assert get_only_key(reviewer, assessment)["status"] == "expired"


def test_an_active_key_expires_at_the_time_limit_before_its_session_is_closed(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=90)
    session = make_session(make_key(assessment))
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert get_only_key(reviewer, assessment)["status"] == "active"
    clock.fixed += timedelta(milliseconds=1)
    key = get_only_key(reviewer, assessment)
    assert (key["status"], key["completedAt"]) == ("expired", None)
    reviewer.get("/v1/candidates")
    assert Session.get_by_id(session.id).closed_at is None


def test_a_revoked_key_disappears_from_lists_and_stops_working(reviewer, candidate, key, path):
    assert body_of(reviewer.delete(f"{path}/{key.id}")) == {"ok": True, "id": str(key.id)}
    assert reviewer.get(path).json == {"keys": [], "next": None}
    assert reviewer.get("/v1/candidates").json["total"] == 0
    assert candidate.get("/v1/me").status_code == 401
    assert error_of(reviewer.delete(f"{path}/{key.id}")) == (404, "not_found")


def test_a_key_can_be_revoked_only_under_its_assessment(reviewer, organization, key):
    other = make_assessment(organization)
    assert error_of(reviewer.delete(f"{path_of(other)}/{key.id}")) == (404, "not_found")
    assert CandidateKey.get_by_id(key.id).revoked_at is None
