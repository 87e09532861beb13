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

from blueprints import candidates
from models import ApiToken, Assessment, CandidateKey, KeyCount, clock, db, invitations
from models.base import is_postgres
from models.compiled import Compiled
from rules import plans


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


def plan(query, **values):
    """How the database would run the query; for PostgreSQL as with many rows, of which a test has none."""
    statement, values = query.sql(**values)
    if not is_postgres():
        return "\n".join(row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {statement}", values))
    db.execute_sql("SET LOCAL enable_seqscan = off")
    db.execute_sql("SET LOCAL enable_bitmapscan = off")
    return "\n".join(row[0] for row in db.execute_sql(f"EXPLAIN {statement}", values))


def finds_all_in(index, found):
    """Whether a plan finds all that it takes of the keys in this index alone, in its order."""
    alone = f"Index Only Scan using {index}" if is_postgres() else f"COVERING INDEX {index}"
    return alone in found and "Sort" not in found and "TEMP B-TREE" not in found


def test_a_far_page_of_candidates_walks_one_index_alone(organization, key):
    whose = {"organization_id": organization.id, "limit": 50}
    last = {"last_id": key.id, "last_created_at": key.created_at}
    walk = Compiled(lambda: candidates._walk(frozenset()))
    assert finds_all_in("candidate_keys_in_order", plan(walk, **whose, offset=100_000))
    behind = plan(Compiled(lambda: candidates._walk(frozenset(last))), **whose, **last, offset=0)
    assert finds_all_in("candidate_keys_in_order", behind)
    # It begins behind the candidate, and passes over nobody.
    assert "ROW(created_at, id) >" in behind or "(created_at,id)>" in behind


def test_a_total_reads_no_keys(organization):
    (found,) = plans_of(lambda: KeyCount.total(organization.id))
    assert "key_counts_organization_id" in found.replace("keycount", "key_counts")
    with counted() as statements:
        KeyCount.total(organization.id)
    assert len(statements) == 1
    assert "candidate_keys" not in statements[0]


def test_open_keys_of_an_address_are_looked_up_by_it(assessment):
    with counted() as statements:
        invitations._open_keys(assessment, ["a@example.com"])
    assert len(statements) == 1
    found = CandidateKey.select().where(
        CandidateKey.address.in_(["a@example.com"]), CandidateKey.assessment == assessment
    )
    assert "candidate_keys_of_address" in plan(found)


def test_the_quota_is_counted_in_an_index_alone(organization):
    first, following = plans.month_of(clock.now())
    created = Assessment.select(Assessment.created_at).where(
        Assessment.organization == organization,
        Assessment.created_at >= first,
        Assessment.created_at < following,
    )
    assert "Index Only Scan" in plan(created) or "COVERING INDEX" in plan(created)


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

    # Who calls, the assessment; keys, invitations, events, their number and the entry in the audit log; a transaction
    # around them. On PostgreSQL what awaits no answer travels with the statement after it.
    assert sent(issue(50)) == sent(issue(1)) <= (5 if is_postgres() else 9)


def test_ingesting(candidate, session):
    few = sent(lambda: candidate.post("/v1/hooks/ingest", envelope()))
    for number in range(100):
        add_event(session, envelope(at=number))
    assert sent(lambda: candidate.post("/v1/hooks/ingest", envelope())) == few == (1 if is_postgres() else 3)


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


def test_cohort_statistics_read_by_indexes_alone(steady, assessment):
    session = make_closed_session(assessment, envelope())
    make_closed_session(assessment)
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    found = plans_of(lambda: steady.get(path, sessionId=str(session.id)))
    numbers, waiting = (next(plan for plan in found if name in plan) for name in ("cohort_", "sessions_open"))
    assert "sessions_metrics_due" in waiting
    for plan in found:
        assert "Seq Scan" not in plan
        assert "session_assessment_id" not in plan  # it leads to all sessions of the assessment
    assert (
        numbers.count("(assessment_id = ") + numbers.count("(assessment_id=? AND metric=? AND level=?") >= 4
    )


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
