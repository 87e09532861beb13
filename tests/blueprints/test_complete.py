"""Complete, in time and after it (R11, R17, R18, R29; the client contract, 3.12)."""

from datetime import timedelta

import pytest
from answers import places, refusal
from factories import add_event, envelope, make_assessment, make_key, make_session

from models import Session, find_candidate, sessions
from rules.rows import row_time
from rules.timestamps import format_timestamp

NOWHERE = "00000000-0000-7000-8000-000000000000"
COMPLETE = "/v1/candidate/complete"


@pytest.fixture
def limited_key(organization):
    """A pending key to an assessment of 90 minutes."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def complete(anonymous, session):
    return anonymous.post(COMPLETE, {"key": session.key.key, "sessionId": str(session.id)})


def record_of(key):
    return find_candidate(key, key.id)


def status(key):
    return record_of(key).status


def test_complete_closes_the_session(clock, anonymous, key, session):
    clock.fixed += timedelta(minutes=40, milliseconds=7)
    answer = complete(anonymous, session)
    assert answer.status_code == 200
    assert answer.json == {"ok": True, "completedAt": "2026-04-01T09:40:00.007Z"}
    record = record_of(key)
    assert (record.status, row_time(record.completed_at)) == ("completed", format_timestamp(clock.now()))


def test_complete_derives_the_metrics(anonymous, session):
    add_event(session, envelope("prompt"))
    complete(anonymous, session)
    assert Session.get_by_id(session.id).prompt_count == 1


def test_a_repeated_complete_answers_the_original_moment(clock, anonymous, session):
    first = complete(anonymous, session)
    for pause in (timedelta(minutes=1), timedelta(days=100)):
        clock.fixed += pause
        again = complete(anonymous, session)
        assert (again.status_code, again.json) == (200, first.json)


def test_a_key_that_was_not_redeemed_cannot_complete(anonymous, key):
    answer = anonymous.post(COMPLETE, {"key": key.key, "sessionId": NOWHERE})
    assert refusal(answer) == (409, "not_redeemed")


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense", ""])
def test_a_session_that_is_not_the_keys_own_cannot_be_completed(anonymous, key, session, wrong):
    answer = anonymous.post(COMPLETE, {"key": key.key, "sessionId": wrong})
    assert refusal(answer) == (404, "not_found")
    assert status(key) == "active"


def test_another_candidates_session_cannot_be_completed(anonymous, assessment, key, session):
    other = make_session(make_key(assessment))
    answer = anonymous.post(COMPLETE, {"key": key.key, "sessionId": str(other.id)})
    assert refusal(answer) == (404, "not_found")
    assert Session.get_by_id(other.id).closed_at is None


@pytest.mark.parametrize("wrong", [..., None, 7])
def test_the_session_is_a_required_text(anonymous, key, wrong):
    body = {"key": key.key} | ({} if wrong is ... else {"sessionId": wrong})
    assert places(anonymous.post(COMPLETE, body)) == [["sessionId"]]


def test_a_complete_within_ten_minutes_of_the_limits_close_counts(clock, anonymous, limited_key):
    session = make_session(limited_key)
    close = clock.now() + timedelta(minutes=95)
    clock.fixed = close + timedelta(minutes=10, milliseconds=-1)
    assert complete(anonymous, session).json["completedAt"] == "2026-04-01T10:44:59.999Z"
    row = Session.get_by_id(session.id)
    assert (row.closed_at, row.completed_at, status(limited_key)) == (close, clock.now(), "completed")


def test_it_counts_though_somebody_has_noticed_the_close(clock, anonymous, limited_key):
    session = make_session(limited_key)
    clock.fixed += timedelta(minutes=96)
    sessions.settle(session)
    assert status(limited_key) == "expired"
    complete(anonymous, session)
    assert status(limited_key) == "completed"
    clock.fixed += timedelta(days=1)
    assert complete(anonymous, session).json["completedAt"] == "2026-04-01T10:36:00.000Z"


def test_a_complete_later_than_that_changes_nothing(clock, anonymous, limited_key):
    session = make_session(limited_key)
    clock.fixed += timedelta(minutes=105, milliseconds=1)
    for pause in (timedelta(), timedelta(days=3)):
        clock.fixed += pause
        answer = complete(anonymous, session)
        assert (answer.status_code, answer.json["completedAt"]) == (200, "2026-04-01T10:35:00.000Z")
        record = record_of(limited_key)
        assert (record.status, record.completed_at) == ("expired", None)


def test_the_windows_stay_where_the_limits_close_was(clock, anonymous, limited_key):
    session = make_session(limited_key)
    clock.fixed += timedelta(minutes=100)
    complete(anonymous, session)
    clock.fixed += timedelta(minutes=5, milliseconds=-1)
    assert add_event(session, envelope()) == "created"
    clock.fixed += timedelta(milliseconds=2)
    assert add_event(session, envelope()) == "late"


def test_a_complete_after_a_reviewers_close_leaves_it_expired(clock, anonymous, key, session):
    clock.fixed += timedelta(minutes=30)
    sessions.close(session)
    clock.fixed += timedelta(minutes=1)
    answer = complete(anonymous, session)
    assert (answer.status_code, answer.json["completedAt"]) == (200, "2026-04-01T09:30:00.000Z")
    assert status(key) == "expired"


def test_a_candidate_can_finish_whatever_the_subscription(anonymous, candidate, organization, key):
    organization.change_plan("starter")
    organization.subscribe("canceled")
    assert anonymous.post("/v1/candidate/consent", {"key": key.key}).status_code == 200
    assert anonymous.post("/v1/candidate/redeem", {"key": key.key}).status_code == 200
    assert candidate.post("/v1/hooks/ingest", envelope()).status_code == 201
    assert complete(anonymous, Session.get()).status_code == 200
