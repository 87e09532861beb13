"""Frequent operations send a small number of statements, independent of the number of rows."""

from functools import partial

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_issue,
    make_keys,
    make_recorded_session,
    make_rubric,
    make_session,
    record,
)
from response_checks import body_of
from statements import capture_queries
from statements import plans as plans_of

from models import ApiToken, Assessment, CandidateList, db, external_ids, key_generation
from models.base import is_postgres
from models.webhooks.outbox import publish_new
from rules.events.recorded_events import RecordedEvent


def count_statements(call):
    """Count the statements of a request that has been sent before, so the caches are full."""
    assert call().status_code < 300
    with capture_queries() as statements:
        assert call().status_code < 300
    return len(statements)


@pytest.fixture
def reviewer(clock, reviewer):
    """A reviewer whose token use was just recorded, so the next requests do not record it."""
    reviewer.get("/v1/me")
    return reviewer


def add_sessions(assessment, count):
    for key in make_keys(assessment, count, email="a@example.com"):
        make_session(key)


def add_closed_sessions(assessment, count):
    for _ in range(count):
        make_closed_session(assessment, envelope())


def add_unscored_sessions(assessment, count):
    """Add closed sessions that wait for a score, each in a separate assessment."""
    rubric = make_rubric(assessment.organization)
    for _ in range(count):
        make_closed_session(make_assessment(assessment.organization, rubric_id=rubric.id), envelope())


def add_assessments(assessment, count):
    for _ in range(count):
        make_assessment(assessment.organization, issue_id=make_issue(assessment.organization).id)


def add_tokens(assessment, count):
    for _ in range(count):
        ApiToken.issue(assessment.organization, "Automation", "read")


def test_the_candidates_page_sends_few_statements(app, key, monkeypatch):
    monkeypatch.setitem(app.config, "ANTHROPIC_API_KEY", "sk-company")
    session = make_recorded_session(key)
    record(session, "proxy", RecordedEvent("prompt", {"text": "Fix it."}, "prompt-1"))
    candidate = Caller.candidate(app, key)
    # key, quota, session, assessment, status, organization, last model call, submission, four for events
    assert count_statements(lambda: candidate.get("/v1/candidate/workspace")) <= 12


def add_events(assessment, count):
    make_keys(assessment, count)
    publish_new()


@pytest.mark.parametrize(
    ("path", "add", "maximum"),
    [
        ("candidates", add_sessions, 3),  # token, page, total
        ("assessments/{}/keys", add_sessions, 3),  # token, assessment, page
        ("assessments", add_assessments, 2),  # token, page
        ("sessions", add_unscored_sessions, 4),  # token, page, total, hidden tests
        ("analytics/progress", add_unscored_sessions, 6),  # token, due sessions, funnel, three counts
        ("todo", add_unscored_sessions, 11),
        ("org/tokens", add_tokens, 2),  # token, page
        ("events", add_events, 5),  # token, last and first position, events, external ids
        (
            "assessments/{}/cohort-stats",
            add_closed_sessions,
            4,
        ),  # token, assessment, due sessions, statistics
    ],
)
def test_longer_lists_send_no_more_statements(reviewer, assessment, path, add, maximum):
    path = f"/v1/{path.format(assessment.id)}"
    add(assessment, 1)
    expected = count_statements(lambda: reviewer.get(path))
    add(assessment, 20)
    assert count_statements(lambda: reviewer.get(path)) == expected <= maximum


def index_only(plan, index):
    name = f"Index Only Scan using {index}" if is_postgres() else f"COVERING INDEX {index}"
    return name in plan


def test_candidate_lists_read_one_index(reviewer, organization, key):
    make_keys(key.assessment, 500)
    db.execute_sql("ANALYZE candidate_keys")
    calls = [
        partial(reviewer.get, "/v1/candidates", **page) for page in ({"offset": 9}, {"after": str(key.id)})
    ]
    for call in (CandidateList(organization.id, None).count, *calls):
        assert any(index_only(plan, "candidate_keys_in_order") for plan in plans_of(call))


def test_keys_are_looked_up_in_indexes(reviewer, organization, assessment):
    make_keys(assessment, 500)
    if is_postgres():
        db.execute_sql("ANALYZE candidate_keys")
    open_keys = partial(key_generation._open_keys, assessment.id, [{"email": "a@example.com"}])
    unused = partial(external_ids.require_unused, organization.id, assessment.id, [(["externalId"], "4711")])
    search = partial(reviewer.get, "/v1/candidates", externalId="4711")
    for call, column in ((open_keys, "address"), (unused, "external_id"), (search, "external_id")):
        assert any(f"candidate_keys_of_{column}" in plan for plan in plans_of(call))


def test_quotas_read_one_index(organization):
    (plan,) = plans_of(lambda: Assessment.used_this_month(organization))
    assert "Index Only Scan" in plan or "COVERING INDEX" in plan


def test_assessments_are_read_in_two_statements(app, reviewer, organization):
    assessment = make_assessment(organization, issue_id=make_issue(organization).id)
    (key, *_) = make_keys(assessment, 50)
    for caller in (reviewer, Caller.candidate(app, key)):
        assert count_statements(lambda caller=caller: caller.get(f"/v1/assessments/{assessment.id}")) <= 2


def test_only_the_first_read_of_the_task_before_the_start_writes(app, assessment):
    unread, started = make_keys(assessment, 2)
    make_session(started)
    for key, writes in ((unread, 1), (unread, 0), (started, 0)):
        with capture_queries() as statements:
            body_of(Caller.candidate(app, key).get(f"/v1/assessments/{assessment.id}"))
        assert sum(text.startswith("UPDATE") for text in statements) == writes
        assert writes or len(statements) == 1  # the key with its assessment


def test_generating_more_keys_sends_no_more_statements(reviewer, assessment):
    def issue(count):
        body = {"count": count, "candidateEmails": ["a@example.com"] * count}
        return lambda: reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)

    # Token, savepoint, message lock and count, assessment, and an insert into each of four tables.
    assert count_statements(issue(50)) == count_statements(issue(1)) <= 10


def test_ingesting_an_event_sends_one_statement_on_postgresql(candidate, session):
    expected = count_statements(lambda: candidate.post("/v1/hooks/ingest", envelope()))
    for number in range(100):
        add_event(session, envelope(at=number))
    assert count_statements(lambda: candidate.post("/v1/hooks/ingest", envelope())) == expected
    assert expected == (1 if is_postgres() else 4)


def test_larger_batches_send_no_more_statements(candidate, session):
    def post_batch(count):
        return lambda: candidate.post(
            "/v1/hooks/ingest/batch", {"events": [envelope() for _ in range(count)]}
        )

    assert count_statements(post_batch(40)) == count_statements(post_batch(2))


def test_cohort_statistics_read_one_index(reviewer, assessment):
    session = make_closed_session(assessment, envelope())
    for _ in range(50):
        make_closed_session(assessment)
    db.execute_sql("ANALYZE sessions")
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    plans = plans_of(lambda: reviewer.get(path, sessionId=str(session.id)))
    assert index_only(plans[-1], "sessions_of_assessment")


def test_malformed_credentials_and_health_send_no_statements(app, organization, anonymous):
    _, token = ApiToken.issue(organization, "Tests", "read")
    mistyped = token[:-1] + ("a" if token[-1] != "a" else "b")
    with capture_queries() as statements:
        assert Caller(app, Authorization=f"Bearer {mistyped}").get("/v1/me").status_code == 401
        assert Caller(app, **{"X-API-Key": "PST-ABCD-1234"}).get("/v1/me").status_code == 401
        assert anonymous.get("/v1/health").json == {"status": "ok"}
    assert statements == []
