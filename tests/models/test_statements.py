"""Frequent operations send a small, constant number of statements, however many rows there are."""

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_issue,
    make_key,
    make_keys,
    make_session,
)
from statements import counted
from statements import plans as plans_of

from models import ApiToken, Assessment, CandidateList, db, external_ids, key_generation
from models.base import is_postgres
from models.webhooks.outbox import publish_new


def count_statements(call):
    """The number of statements of a successful request, after a first one that fills the caches."""
    assert call().status_code < 300
    with counted() as statements:
        assert call().status_code < 300
    return len(statements)


@pytest.fixture
def reviewer(clock, reviewer):
    """A reviewer whose last use has just been recorded, so no request records it again."""
    reviewer.get("/v1/me")
    return reviewer


def test_listing_candidates(reviewer, organization, assessment):
    make_session(make_key(assessment))
    expected = count_statements(lambda: reviewer.get("/v1/candidates", limit=200))
    for key in make_keys(assessment, 20, email="a@example.com") + make_keys(
        make_assessment(organization), 20
    ):
        make_session(key)
    # Token, page, total.
    assert count_statements(lambda: reviewer.get("/v1/candidates", limit=200)) == expected <= 3


def index_only(plan, index):
    """True if the plan reads only this index, in its order."""
    name = f"Index Only Scan using {index}" if is_postgres() else f"COVERING INDEX {index}"
    return name in plan


def test_a_late_page_of_candidates_reads_one_index(reviewer, key):
    for query in ({"offset": 100_000}, {"after": str(key.id)}):
        plans = plans_of(lambda query=query: reviewer.get("/v1/candidates", **query))
        assert any(index_only(plan, "candidate_keys_in_order") for plan in plans)


def test_the_total_of_candidates_is_counted_in_an_index(organization, key):
    (plan,) = plans_of(lambda: CandidateList(organization.id, None).count())
    assert index_only(plan, "candidate_keys_in_order")


def test_open_keys_are_found_by_an_index_on_the_address(assessment):
    make_keys(assessment, 500)
    candidates = [{"email": "a@example.com", "name": None}]
    if is_postgres():
        db.execute_sql("ANALYZE candidate_keys")
    (plan, *_) = plans_of(lambda: key_generation._open_keys(assessment.id, candidates))
    assert "candidate_keys_of_address" in plan


def test_external_ids_are_found_by_their_index(reviewer, organization, assessment):
    make_keys(assessment, 500)
    if is_postgres():
        db.execute_sql("ANALYZE candidate_keys")
    calls = [
        lambda: reviewer.get("/v1/candidates", externalId="4711"),
        lambda: external_ids.require_unused(organization.id, assessment.id, [(["externalId"], "4711")]),
    ]
    for call in calls:
        assert any("candidate_keys_of_external_id" in plan for plan in plans_of(call))


def test_reading_the_feed(reviewer, assessment):
    make_key(assessment)
    publish_new()
    expected = count_statements(lambda: reviewer.get("/v1/events"))
    make_keys(assessment, 50)
    publish_new()
    # Token, last and first position, events, external ids.
    assert count_statements(lambda: reviewer.get("/v1/events")) == expected <= 5


def test_the_quota_is_counted_in_an_index(organization):
    (plan,) = plans_of(lambda: Assessment.used_this_month(organization))
    assert "Index Only Scan" in plan or "COVERING INDEX" in plan


def test_listing_keys(reviewer, assessment):
    make_key(assessment)
    expected = count_statements(lambda: reviewer.get(f"/v1/assessments/{assessment.id}/keys"))
    for key in make_keys(assessment, 40, email="a@example.com"):
        make_session(key)
    assert count_statements(lambda: reviewer.get(f"/v1/assessments/{assessment.id}/keys")) == expected <= 3


def test_listing_assessments(reviewer, organization):
    expected = count_statements(lambda: reviewer.get("/v1/assessments"))
    for _ in range(20):
        make_assessment(organization, issue_id=make_issue(organization).id)
    assert count_statements(lambda: reviewer.get("/v1/assessments")) == expected <= 2


def test_getting_an_assessment(app, reviewer, organization):
    assessment = make_assessment(organization, issue_id=make_issue(organization).id)
    (key, *_) = make_keys(assessment, 50)
    for caller in (reviewer, Caller.candidate(app, key)):
        assert count_statements(lambda caller=caller: caller.get(f"/v1/assessments/{assessment.id}")) <= 2


def test_generating_keys(reviewer, assessment):
    def issue(count):
        body = {"count": count, "candidateEmails": ["a@example.com"] * count}
        return lambda: reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)

    # The token; in a savepoint the lock and count of messages, the assessment, and an insert for each of four tables.
    assert count_statements(issue(50)) == count_statements(issue(1)) <= 10


def test_ingesting(candidate, session):
    expected = count_statements(lambda: candidate.post("/v1/hooks/ingest", envelope()))
    for number in range(100):
        add_event(session, envelope(at=number))
    assert count_statements(lambda: candidate.post("/v1/hooks/ingest", envelope())) == expected
    assert expected == (1 if is_postgres() else 4)


def test_ingesting_a_batch(candidate, session):
    def post_batch(count):
        return lambda: candidate.post(
            "/v1/hooks/ingest/batch", {"events": [envelope() for _ in range(count)]}
        )

    assert count_statements(post_batch(40)) == count_statements(post_batch(2))


def test_cohort_statistics(reviewer, assessment):
    def ask(session):
        return lambda: reviewer.get(
            f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=str(session.id)
        )

    session = make_closed_session(assessment, envelope())
    make_closed_session(assessment)
    expected = count_statements(ask(session))
    for _ in range(30):
        make_closed_session(assessment, envelope())
    # Token, assessment, pending sessions, statistics.
    assert count_statements(ask(session)) == expected <= 4


def test_cohort_statistics_read_one_index(reviewer, assessment):
    session = make_closed_session(assessment, envelope())
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    plans = plans_of(lambda: reviewer.get(path, sessionId=str(session.id)))
    assert index_only(plans[-1], "sessions_of_assessment")


def test_listing_tokens(reviewer, organization):
    expected = count_statements(lambda: reviewer.get("/v1/org/tokens"))
    for _ in range(10):
        ApiToken.issue(organization, "One more", "read")
    assert count_statements(lambda: reviewer.get("/v1/org/tokens")) == expected <= 2


def test_a_mistyped_token_sends_no_statement(app, organization):
    _, token = ApiToken.issue(organization, "Tests", "read")
    mistyped = token[:-1] + ("a" if token[-1] != "a" else "b")
    with counted() as statements:
        assert Caller(app, Authorization=f"Bearer {mistyped}").get("/v1/me").status_code == 401
    assert statements == []


def test_a_malformed_key_sends_no_statement(app):
    with counted() as statements:
        assert Caller(app, **{"X-API-Key": "PST-ABCD-1234"}).get("/v1/me").status_code == 401
    assert statements == []


def test_health_sends_no_statement(anonymous):
    with counted() as statements:
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
