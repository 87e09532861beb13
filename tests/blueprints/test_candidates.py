"""Candidates: list, filter, export, decide, hire, allow another redemption (R16, R17, R23, R24, R31)."""

import csv
import io
from datetime import timedelta

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_keys,
    make_person,
    make_session,
    mark_hired,
)
from response_checks import body_of, error_of, error_paths

from models import FeedEvent, Session, SigningKey, sessions

PATH = "/v1/candidates"
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
REDEEM = "/v1/candidate/redeem"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


def get(reviewer, **query):
    return body_of(reviewer.get(PATH, **query))


def column(reviewer, name="candidateName", **query):
    return [candidate[name] for candidate in get(reviewer, **query)["candidates"]]


def test_a_candidate_is_a_key_with_the_assessments_title(clock, reviewer, assessment, key):
    session = make_session(key)
    clock.fixed += timedelta(hours=5, minutes=30)
    sessions.complete(session)
    page = get(reviewer)
    (candidate,) = page["candidates"]
    (key_row,) = reviewer.get(f"/v1/assessments/{assessment.id}/keys").json["keys"]
    assert candidate == key_row | {"assessmentTitle": "Backend API Challenge"}
    assert (candidate["status"], candidate["sessionId"]) == ("completed", str(session.id))
    assert candidate["redeemedAt"] == "2026-04-01T09:00:00.000Z"
    assert candidate["completedAt"] == candidate["updatedAt"] == "2026-04-01T14:30:00.000Z"
    assert (page["total"], page["limit"], page["offset"]) == (1, 50, 0)


def test_keys_are_masked_and_not_searchable_without_write_scope(reviewer, reader, assessment, key):
    masked = [candidate | {"key": "PST-****-****"} for candidate in get(reviewer)["candidates"]]
    assert get(reader)["candidates"] == masked
    for text in (key.key, key.key[:8], key.key[4:]):
        assert get(reader, q=text)["total"] == 0


def test_pages_neither_skip_nor_repeat_candidates(clock, reviewer, assessment):
    keys = [*make_keys(assessment, 50), *make_keys(assessment, 5)]  # with the same creation time
    pages = [get(reviewer, offset=offset) for offset in (0, 50)]
    ids = [candidate["id"] for page in pages for candidate in page["candidates"]]
    assert ids == [str(key.id) for key in keys]
    assert {(page["total"], page["limit"]) for page in pages} == {(55, 50)}
    last = 2**63 - 1
    empty = {"candidates": [], "next": None}
    assert get(reviewer, offset=last) == empty | {"total": 55, "limit": 50, "offset": last}


def test_limit_is_clamped_and_must_be_an_integer(reviewer):
    clamped = {"1": 1, "200": 200, "0": 1, "-5": 1, "201": 200, "+5": 5, "-0": 1, "005": 5, "9" * 30: 200}
    clamped |= {"-" + "9" * 30: 1, "9" * 1500: 200, "0" * 1500 + "7": 7}
    for value, applied in clamped.items():
        assert get(reviewer, limit=value)["limit"] == applied, value
    for value in ("", " 5", "5 ", "5.0", "1e2", "five", "0x10", "1_000", "--5", "+-5", "+", "\u0665", "null"):
        assert error_paths(reviewer.get(PATH, limit=value)) == [["limit"]], value


def test_offset_must_be_a_nonnegative_64_bit_integer(reviewer):
    for value in ("0", "+3", "-0", "007", str(2**63 - 1)):
        assert get(reviewer, offset=value)["offset"] == int(value)
    for invalid in ("-1", str(2**63), "9" * 1500, "", " 1", "1.0", "two"):
        assert error_paths(reviewer.get(PATH, offset=invalid)) == [["offset"]], invalid


def test_the_first_of_repeated_parameters_applies_and_unknown_ones_are_ignored(reviewer):
    page = reviewer.request("GET", f"{PATH}?limit=3&limit=nonsense&offset=1&offset=2&later=yes").json
    assert (page["limit"], page["offset"]) == (3, 1)
    assert error_paths(reviewer.request("GET", f"{PATH}?limit=nonsense&limit=3")) == [["limit"]]


@pytest.fixture
def all_statuses(clock, assessment):
    """A candidate named after each status, and one whose key expired unused."""
    organization = assessment.organization
    make_session(make_key(make_assessment(organization, time_limit_minutes=1), name="expired"))
    make_key(make_assessment(organization, expires_in_days=1), name="unused")
    clock.fixed += timedelta(days=2)
    make_key(assessment, name="pending")
    make_session(make_key(assessment, name="active"))
    sessions.complete(make_session(make_key(assessment, name="completed")))
    hired = make_session(make_key(assessment, name="hired"))
    sessions.complete(hired)
    mark_hired(hired, True)


@pytest.mark.usefixtures("all_statuses")
def test_candidates_can_be_filtered_by_status(reviewer, assessment):
    for status in ("pending", "active", "completed", "hired", "expired"):
        names = ["expired", "unused"] if status == "expired" else [status]
        page = get(reviewer, status=status)
        assert [candidate["candidateName"] for candidate in page["candidates"]] == names
        assert {candidate["status"] for candidate in page["candidates"]} == {status}
        assert page["total"] == len(names)
    for invalid in ("", "done", "Completed", "pending,active"):
        assert error_paths(reviewer.get(PATH, status=invalid)) == [["status"]]
    page = get(reviewer, assessmentId=assessment.id, q="E", status="active", limit=1)
    assert [candidate["candidateName"] for candidate in page["candidates"]] == ["active"]
    assert page["total"] == 1


def test_candidates_can_be_filtered_by_assessment(reviewer, organization, assessment, neighbour):
    make_key(assessment, name="Here")
    make_key(make_assessment(organization), name="There")
    other_org = make_assessment(neighbour.row.organization)
    make_key(other_org, name="Elsewhere")
    assert column(reviewer, assessmentId=assessment.id) == ["Here"]
    assert column(reviewer, assessmentId=other_org.id) == column(reviewer, assessmentId=UNKNOWN_ID) == []
    assert error_paths(reviewer.get(PATH, assessmentId="nonsense")) == [["assessmentId"]]


def test_search_ignores_case_in_names_and_emails(reviewer, assessment):
    make_key(assessment, email="zoe@example.com", name="Zoë Straße")
    for q in ("zoë", "ZOË", "STRASSE", "straße", "zoe@", "ZOE@Example.COM", "ë stra", ""):
        assert column(reviewer, q=q) == ["Zoë Straße"], q


def test_search_does_not_support_wildcards(reviewer, assessment):
    for name in ("Zoë", "100%_sure\\", "1000 sure"):
        make_key(assessment, email="zoe@example.com", name=name)
    for q in ("%%", "__", "' or 1=1", "zoe%example", "nobody", "zo_"):
        assert column(reviewer, q=q) == [], q
    for q in ("%", "_", "\\", "100%", "%_", "_SURE\\"):
        assert column(reviewer, q=q) == ["100%_sure\\"], q


def test_after_works_with_filters_offset_and_a_revoked_candidate(reviewer, assessment):
    first, second, third, fourth = make_keys(assessment, 4)
    make_session(fourth)
    first.revoke()
    page = get(reviewer, after=first.id, offset=1, limit=1)
    assert [candidate["id"] for candidate in page["candidates"]] == [str(third.id)]
    assert (page["total"], page["offset"]) == (3, 1)
    page = get(reviewer, after=second.id, status="active")
    assert [candidate["id"] for candidate in page["candidates"]] == [str(fourth.id)]
    assert page["total"] == 1


def test_after_must_be_a_candidate_in_the_organization(reviewer, neighbour, key):
    for invalid in (UNKNOWN_ID, "nonsense"):
        assert error_paths(reviewer.get(PATH, after=invalid)) == [["after"]]
    assert error_paths(neighbour.get(PATH, after=key.id)) == [["after"]]


def test_total_matches_the_list_after_every_change(reviewer, organization, assessment):
    def total(**query):
        page = get(reviewer, limit=200, **query)
        assert page["total"] == len(page["candidates"])
        return page["total"]

    def erase(key):
        assert reviewer.delete(f"{PATH}/{key.id}/data").status_code == 200

    def revoke(key):
        # 404 if it was already revoked, for example by an erasure.
        path = f"/v1/assessments/{key.assessment_id}/keys/{key.id}"
        assert reviewer.delete(path).status_code in (200, 404)

    first, second, *_ = make_keys(assessment, 5)
    other = make_assessment(organization)
    make_keys(other, 3)
    assert (total(), total(assessmentId=other.id)) == (8, 3)
    for change, key in ((revoke, first), (erase, first), (erase, second), (revoke, second)):
        change(key)
        change(key)
    assert total() == 6
    other.soft_delete()
    assert (total(), total(assessmentId=other.id)) == (3, 0)


def rows_of(response):
    assert (response.status_code, response.mimetype) == (200, "text/csv")
    return list(csv.DictReader(io.StringIO(response.text)))


def test_the_export_contains_the_listed_candidates(reviewer, assessment, key, monkeypatch):
    monkeypatch.setattr("models.candidates.BATCH_SIZE", 3)
    make_session(key)
    make_keys(assessment, 9)
    response = reviewer.get(f"{PATH}/export")
    assert "attachment" in response.headers["Content-Disposition"]
    rows, candidates = rows_of(response), get(reviewer)["candidates"]
    assert rows == [{name: candidate[name] or "" for name in rows[0]} for candidate in candidates]
    assert candidates[0].keys() - rows[0].keys() == {
        *("orgId", "invite", "erasureRequestedAt", "metadata", "updatedAt"),
        *("decisionReason", "decisionFindingReason", "decidedAt", "decidedBy"),
    }
    filtered = rows_of(reviewer.get(f"{PATH}/export", status="active"))
    assert filtered == rows[:1]


def test_export_cells_are_never_formulas(reviewer, assessment):
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1"]
    separated = ["x;", "x,", "x|", "x:", "x ", "x; ", "x#", 'x;"', "x;'"]
    harmless = ['Zoë "Z", Straße', "Backend - Senior", "C++", "a+b@example.com", "2026-01-02T03:04:05+00:00"]
    for name in [*formulas, *(f"{start}=1+1" for start in separated), *harmless]:
        make_key(assessment, name=name)
    names = [row["candidateName"] for row in rows_of(reviewer.get(f"{PATH}/export"))]
    escaped = [*(f"'{formula}" for formula in formulas), *(f"{start}'=1+1" for start in separated)]
    assert names == [*escaped, *harmless]


def hire(reviewer, key, hired=True):
    return reviewer.patch(f"{PATH}/{key.id}", {"hired": hired})


def status_of(response):
    return body_of(response)["candidate"]["status"]


def test_an_expired_candidate_can_be_hired_and_unhired(clock, reviewer, organization):
    key = make_key(make_assessment(organization, time_limit_minutes=1))
    make_session(key)
    clock.fixed += timedelta(minutes=6)
    assert status_of(hire(reviewer, key)) == "hired"
    response = hire(reviewer, key, False)
    assert (status_of(response), response.json["candidate"]["completedAt"]) == ("expired", None)


def test_hiring_requires_a_finished_session(clock, reviewer, assessment, key):
    unused = make_key(assessment)
    assert error_of(hire(reviewer, key)) == (409, "not_finished")
    make_session(key)
    assert error_of(hire(reviewer, key)) == (409, "not_finished")
    assert column(reviewer, "status") == ["active", "pending"]
    clock.fixed = key.expires_at
    assert error_of(hire(reviewer, unused)) == (409, "not_finished")
    assert status_of(hire(reviewer, unused, False)) == "expired"


def test_hired_must_be_a_boolean(reviewer, key, session):
    sessions.complete(session)
    for invalid in (None, "true", "yes", 1, 0, [], {}):
        assert error_paths(hire(reviewer, key, invalid)) == [["hired"]], invalid


def test_read_only_fields_are_ignored_in_an_update(reviewer, key, session):
    sessions.complete(session)
    body = {"hired": True, "status": "completed", "createdAt": "2020-01-01T00:00:00.000Z"}
    candidate = reviewer.patch(f"{PATH}/{key.id}", body).json["candidate"]
    assert (candidate["status"], candidate["key"]) == ("hired", key.key)
    key.revoke()
    assert error_of(hire(reviewer, key)) == (404, "not_found")


def test_reviewers_can_allow_another_redemption(anonymous, reviewer, key, session):
    add_event(session, envelope())
    path = f"{PATH}/{key.id}/allow-redeem"
    body = {"key": key.key, "signingPubKey": PUBLIC_KEY}
    assert error_of(anonymous.post(REDEEM, body)) == (409, "already_redeemed")
    assert SigningKey.select().count() == 0
    assert status_of(reviewer.post(path)) == "active"
    response = anonymous.post(REDEEM, body)
    assert (response.status_code, response.json["sessionId"]) == (200, str(session.id))
    assert SigningKey.of(session) == [PUBLIC_KEY]
    assert error_of(anonymous.post(REDEEM, {"key": key.key})) == (409, "already_redeemed")
    sessions.complete(session)
    assert error_of(reviewer.post(path)) == (409, "session_closed")


def test_allowing_a_redemption_before_the_first_one_has_no_effect(reviewer, key):
    assert status_of(reviewer.post(f"{PATH}/{key.id}/allow-redeem")) == "pending"
    assert Session.select().count() == 0


def decide(reviewer, key, decision, **body):
    return reviewer.put(f"{PATH}/{key.id}/decision", {"decision": decision} | body)


def decision_of(response):
    candidate = body_of(response)["candidate"]
    names = ("status", "decision", "decisionReason", "decidedAt", "decidedBy")
    return tuple(candidate[name] for name in names)


def test_a_decision_records_its_reason_time_and_author(app, clock, reviewer, organization, key):
    author = {"id": str(reviewer.row.id), "name": reviewer.row.name, "kind": "serviceAccount"}
    advanced = ("pending", "advanced", "Careful.", "2026-04-01T09:00:00.000Z", author)
    assert decision_of(decide(reviewer, key, "advanced", reason=" Careful. ")) == advanced
    clock.fixed += timedelta(hours=1)
    bob = make_person(organization)
    # Repeating a decision keeps its author.
    assert decision_of(decide(Caller.person(app, bob), key, "advanced", reason="Careful.")) == advanced
    author = {"id": str(bob.id), "name": "Bob", "kind": "person"}
    rejected = ("pending", "rejected", None, "2026-04-01T10:00:00.000Z", author)
    assert decision_of(decide(Caller.person(app, bob), key, "rejected")) == rejected
    assert decision_of(reviewer.patch(f"{PATH}/{key.id}", {"externalId": "4711"})) == rejected
    assert get(reviewer)["candidates"][0]["decision"] == "rejected"
    decided = FeedEvent.select().where(FeedEvent.type == "candidate.decided").order_by(FeedEvent.id)
    payloads = [event.data for event in decided]
    ids = {"candidateId": str(key.id), "assessmentId": str(key.assessment_id), "sessionId": None}
    assert payloads == [
        ids | {"decision": "advanced", "previousDecision": "undecided"},
        ids | {"decision": "rejected", "previousDecision": "advanced"},
    ]


def test_hired_and_the_decision_stay_in_sync(clock, reviewer, key):
    assert error_of(decide(reviewer, key, "hired")) == (409, "not_finished")
    session = make_session(key)
    assert decision_of(decide(reviewer, key, "advanced"))[:2] == ("active", "advanced")
    assert error_of(decide(reviewer, key, "hired")) == (409, "not_finished")
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    changes = [
        (lambda: decide(reviewer, key, "hired", reason="The best."), ("hired", "hired")),
        (lambda: hire(reviewer, key), ("hired", "hired")),
        (lambda: decide(reviewer, key, "rejected"), ("completed", "rejected")),
        (lambda: hire(reviewer, key, False), ("completed", "rejected")),
        (lambda: hire(reviewer, key), ("hired", "hired")),
        (lambda: hire(reviewer, key, False), ("completed", "undecided")),
    ]
    for change, expected in changes:
        response = change()
        assert decision_of(response)[:2] == expected
        assert response.json["candidate"] == get(reviewer)["candidates"][0]
        assert response.json["candidate"]["completedAt"] == "2026-04-01T09:00:00.000Z"
        clock.fixed += timedelta(minutes=1)
    hires = FeedEvent.select().where(FeedEvent.type == "candidate.hired").count()
    assert hires == 2
    assert reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"] == []


def test_invalid_decisions_are_rejected(reviewer, key):
    for invalid in (None, "maybe"):
        assert error_paths(decide(reviewer, key, invalid)) == [["decision"]]
    for invalid in (" ", "x" * 2001):
        assert error_paths(decide(reviewer, key, "hired", reason=invalid)) == [["reason"]]
