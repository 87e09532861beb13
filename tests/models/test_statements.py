"""The hot operations send the same number of statements however many rows there are, and no more than they need."""

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

from models import ApiToken, Assessment, CandidateList, db, key_generation
from models.base import is_postgres


def sent(call):
    """How many statements a successful request sends, after one that warmed everything up."""
    assert call().status_code < 300
    with counted() as statements:
        assert call().status_code < 300
    return len(statements)


@pytest.fixture
def steady(clock, reviewer):
    """A reviewer whose last use was noted just now, so that no request notes it again."""
    reviewer.get("/v1/me")
    return reviewer


def test_listing_candidates(steady, organization, assessment):
    make_session(make_key(assessment))
    few = sent(lambda: steady.get("/v1/candidates", limit=200))
    for key in make_keys(assessment, 20, email="a@example.com") + make_keys(
        make_assessment(organization), 20
    ):
        make_session(key)
    assert sent(lambda: steady.get("/v1/candidates", limit=200)) == few <= 3  # who calls, page, total


def index_only(plan, index):
    """Whether a plan reads this index alone, in its order."""
    name = f"Index Only Scan using {index}" if is_postgres() else f"COVERING INDEX {index}"
    return name in plan


def test_a_page_of_candidates_far_behind_reads_one_index(steady, key):
    for query in ({"offset": 100_000}, {"after": str(key.id)}):
        found = plans_of(lambda query=query: steady.get("/v1/candidates", **query))
        assert any(index_only(plan, "candidate_keys_in_order") for plan in found)


def test_the_total_of_candidates_is_read_as_ranges_of_the_counters(organization, key):
    (plan,) = plans_of(lambda: CandidateList(organization.id).count())
    assert "candidate" not in plan
    assert "(assessment_id = a.id) AND (metric = " in plan or "(assessment_id=? AND metric=?" in plan


def test_open_keys_of_an_address_are_found_by_it(assessment):
    make_keys(assessment, 500)
    candidates = [{"email": "a@example.com", "name": None}]
    if is_postgres():
        db.execute_sql("ANALYZE candidate_keys")
    (plan, *_) = plans_of(lambda: key_generation._open_keys(assessment.id, candidates))
    assert "candidate_keys_of_address" in plan


def test_the_quota_is_counted_in_an_index(organization):
    (plan,) = plans_of(lambda: Assessment.used_this_month(organization))
    assert "Index Only Scan" in plan or "COVERING INDEX" in plan


def test_listing_keys(steady, assessment):
    make_key(assessment)
    few = sent(lambda: steady.get(f"/v1/assessments/{assessment.id}/keys"))
    for key in make_keys(assessment, 40, email="a@example.com"):
        make_session(key)
    assert sent(lambda: steady.get(f"/v1/assessments/{assessment.id}/keys")) == few <= 3


def test_listing_assessments(steady, organization):
    few = sent(lambda: steady.get("/v1/assessments"))
    for _ in range(20):
        make_assessment(organization, issue_id=make_issue(organization).id)
    assert sent(lambda: steady.get("/v1/assessments")) == few <= 2


def test_getting_an_assessment(app, steady, organization):
    assessment = make_assessment(organization, issue_id=make_issue(organization).id)
    (key, *_) = make_keys(assessment, 50)
    for caller in (steady, Caller.candidate(app, key)):
        assert sent(lambda caller=caller: caller.get(f"/v1/assessments/{assessment.id}")) <= 2


def test_generating_keys(steady, assessment):
    def issue(count):
        body = {"count": count, "candidateEmails": ["a@example.com"] * count}
        return lambda: steady.post(f"/v1/assessments/{assessment.id}/keys", body)

    # On PostgreSQL the token and one statement, here in a savepoint; on SQLite an insert for each table.
    assert sent(issue(50)) == sent(issue(1)) <= (4 if is_postgres() else 9)


def test_ingesting(candidate, session):
    few = sent(lambda: candidate.post("/v1/hooks/ingest", envelope()))
    for number in range(100):
        add_event(session, envelope(at=number))
    assert sent(lambda: candidate.post("/v1/hooks/ingest", envelope())) == few == (1 if is_postgres() else 4)


def test_ingesting_a_batch(candidate, session):
    def bring(count):
        return lambda: candidate.post(
            "/v1/hooks/ingest/batch", {"events": [envelope() for _ in range(count)]}
        )

    assert sent(bring(40)) == sent(bring(2))


def test_cohort_statistics(steady, assessment):
    def ask(session):
        return lambda: steady.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=str(session.id))

    session = make_closed_session(assessment, envelope())
    make_closed_session(assessment)
    few = sent(ask(session))
    for _ in range(30):
        make_closed_session(assessment, envelope())
    assert sent(ask(session)) == few <= 5  # who calls, assessment, what waits, and all numbers at once


def test_ranks_are_read_as_ranges_of_the_counters(steady, assessment):
    session = make_closed_session(assessment, envelope())
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    found = plans_of(lambda: steady.get(path, sessionId=str(session.id)))
    ranks = next(plan for plan in found if "cohort_counts" in plan or "cohortcount" in plan)
    assert "Seq Scan" not in ranks
    assert "bucket >= " in ranks or "bucket>?" in ranks


def test_listing_tokens(steady, organization):
    few = sent(lambda: steady.get("/v1/org/tokens"))
    for _ in range(10):
        ApiToken.issue(organization, "One more", "read")
    assert sent(lambda: steady.get("/v1/org/tokens")) == few <= 2


def test_a_mistyped_token_asks_no_database(app, organization):
    _, token = ApiToken.issue(organization, "Tests", "read")
    mistyped = token[:-1] + ("a" if token[-1] != "a" else "b")
    with counted() as statements:
        assert Caller(app, Authorization=f"Bearer {mistyped}").get("/v1/me").status_code == 401
    assert statements == []


def test_what_does_not_look_like_a_key_asks_no_database(app):
    with counted() as statements:
        assert Caller(app, **{"X-API-Key": "PST-ABCD-1234"}).get("/v1/me").status_code == 401
    assert statements == []


def test_health_asks_no_database(anonymous):
    with counted() as statements:
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
