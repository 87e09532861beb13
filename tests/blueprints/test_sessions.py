"""Sessions: what reviewers and candidates see, the limit's close, and submitted test results (R3, R17, R18)."""

from datetime import timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session

from models import Event, Session, sessions
from models.sessions.session import METRIC_COLUMNS

NOWHERE = "00000000-0000-7000-8000-000000000000"
FOR_ALL = {
    "id", "assessmentId", "keyId", "orgName", "assessmentTitle", "status", "eventCount", "lateEventCount",
    "redeemedAt", "closesAt", "closedAt", "completedAt", "retainedUntil", "erasureRequestedAt",
}  # fmt: skip
FOR_REVIEWERS = {"candidateName", "candidateEmail", "hiredAt", "metrics", "erasedAt", "testResult"}
METRICS = {
    "durationMs", "promptCount", "commandFailRate", "verifyIntensity", "manualEditRatio", "firstChangeLatencyMs",
    "testsPassed", "commandCount", "fileChangeCount", "uniqueFilesTouched", "testRunCount", "decisionCount",
    "errorEpisodes", "toolUsage", "tokens", "totalCostUsd", "aiAttributionPct", "derivationVersion",
}  # fmt: skip


@pytest.fixture
def limited(organization):
    """An assessment of 90 minutes."""
    return make_assessment(organization, time_limit_minutes=90)


def seen(caller, session):
    answer = caller.get(f"/v1/sessions/{session.id}")
    assert answer.status_code == 200, answer.json
    return answer.json


# What is shown


def test_an_open_session(clock, reviewer, limited):
    session = make_session(make_key(limited))
    add_event(session, envelope())
    shown = seen(reviewer, session)
    assert shown == shown | {
        "id": str(session.id),
        "assessmentId": str(limited.id),
        "keyId": str(session.key_id),
        "orgName": "Acme",
        "assessmentTitle": "Backend API Challenge",
        "status": "active",
        "eventCount": 1,
        "lateEventCount": 0,
        "redeemedAt": "2026-04-01T09:00:00.000Z",
        "closesAt": "2026-04-01T10:35:00.000Z",
        "closedAt": None,
        "completedAt": None,
        "retainedUntil": None,
        "erasureRequestedAt": None,
        "candidateName": "Alice",
        "candidateEmail": "alice@example.com",
        "hiredAt": None,
        "metrics": None,
        "erasedAt": None,
        "testResult": None,
    }


def test_a_completed_session(clock, reviewer, assessment):
    session = make_session(make_key(assessment))
    add_event(session, envelope("session_start"))
    add_event(session, envelope("prompt", at=90))
    clock.fixed += timedelta(minutes=3)
    sessions.complete(session)
    shown = seen(reviewer, session)
    assert set(shown) >= FOR_ALL | FOR_REVIEWERS
    assert (shown["status"], shown["closesAt"]) == ("completed", None)
    assert shown["closedAt"] == shown["completedAt"] == "2026-04-01T09:03:00.000Z"
    assert set(shown["metrics"]) >= METRICS
    assert (shown["metrics"]["durationMs"], shown["metrics"]["promptCount"]) == (90_000, 1)
    assert shown["metrics"]["derivationVersion"] == 1


def test_metrics_show_ratios_with_three_decimals(reviewer, assessment):
    events = [envelope("command", data={"command": "ls", "exitCode": code}) for code in (1, 0, 0)]
    assert seen(reviewer, make_closed_session(assessment, *events))["metrics"]["commandFailRate"] == 0.333


def test_a_candidate_sees_the_own_session_without_what_is_for_reviewers(candidate, session):
    for status in ("active", "completed"):
        shown = seen(candidate, session)
        assert set(shown) >= FOR_ALL
        assert not set(shown) & FOR_REVIEWERS
        assert shown["status"] == status
        sessions.complete(session)


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_an_unknown_session_is_404(reviewer, candidate, wrong):
    for caller in (reviewer, candidate):
        assert refusal(caller.get(f"/v1/sessions/{wrong}")) == (404, "not_found")


def test_a_neighbours_session_is_404(neighbour, session):
    for answer in (
        neighbour.get(f"/v1/sessions/{session.id}"),
        neighbour.post(f"/v1/sessions/{session.id}/close"),
        neighbour.put(f"/v1/sessions/{session.id}/test-result", {"passed": 1, "failed": 0}),
    ):
        assert refusal(answer) == (404, "not_found")
    assert Session.get_by_id(session.id).closed_at is None


def test_the_session_of_a_revoked_key_stays_to_be_seen(reviewer, key, session):
    sessions.complete(session)
    key.revoke()
    assert seen(reviewer, session)["status"] == "completed"


# The limit's close (R17)


def test_the_limit_closes_after_five_minutes_of_grace(clock, reviewer, limited):
    session = make_session(make_key(limited))
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert seen(reviewer, session)["status"] == "active"
    clock.fixed += timedelta(milliseconds=1)
    shown = seen(reviewer, session)
    assert (shown["status"], shown["completedAt"]) == ("expired", None)
    assert shown["closedAt"] == shown["closesAt"] == "2026-04-01T10:35:00.000Z"


def test_the_limit_closes_at_its_own_moment_whenever_somebody_looks(clock, candidate, reviewer, limited, app):
    session = make_session(key := make_key(limited))
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(days=30)
    assert seen(Caller.candidate(app, key), session)["closedAt"] == "2026-04-01T10:35:00.000Z"
    assert seen(reviewer, session)["metrics"]["promptCount"] == 1


def test_without_a_limit_a_session_stays_open(clock, reviewer, session):
    clock.fixed += timedelta(days=300)
    shown = seen(reviewer, session)
    assert (shown["status"], shown["closesAt"]) == ("active", None)


# A reviewer closes what was abandoned


def test_a_reviewer_closes_an_abandoned_session(clock, reviewer, session):
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(hours=7)
    answer = reviewer.post(f"/v1/sessions/{session.id}/close")
    assert answer.status_code == 200
    assert answer.json == seen(reviewer, session)
    assert (answer.json["status"], answer.json["completedAt"]) == ("expired", None)
    assert answer.json["closedAt"] == "2026-04-01T16:00:00.000Z"
    assert answer.json["metrics"]["promptCount"] == 1


def test_closing_a_closed_session_changes_nothing(clock, reviewer, session):
    sessions.complete(session)
    before = seen(reviewer, session)
    clock.fixed = clock.now() + timedelta(hours=1)
    answer = reviewer.post(f"/v1/sessions/{session.id}/close")
    assert (answer.status_code, answer.json) == (200, before)


def test_closing_after_the_limit_leaves_the_limits_moment(clock, reviewer, limited):
    session = make_session(make_key(limited))
    clock.fixed += timedelta(hours=5)
    answer = reviewer.post(f"/v1/sessions/{session.id}/close")
    assert answer.json["closedAt"] == "2026-04-01T10:35:00.000Z"


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense"])
def test_an_unknown_session_cannot_be_closed(reviewer, wrong):
    assert refusal(reviewer.post(f"/v1/sessions/{wrong}/close")) == (404, "not_found")


# Submitted test results


def submit(reviewer, session, **result):
    return reviewer.put(f"/v1/sessions/{session.id}/test-result", result)


def test_a_test_result_is_submitted_and_shown(reviewer, session):
    sessions.complete(session)
    answer = submit(reviewer, session, passed=41, failed=0, skipped=1, note=" Node 22, clean clone ")
    assert answer.status_code == 200
    expected = {"passed": 41, "failed": 0, "skipped": 1, "note": "Node 22, clean clone"}
    assert answer.json["testResult"] == expected == seen(reviewer, session)["testResult"]
    assert answer.json["metrics"]["testsPassed"] is True


@pytest.mark.parametrize(
    ("passed", "failed", "verdict"), [(1, 0, True), (1, 1, False), (0, 1, False), (0, 0, False)]
)
def test_tests_pass_where_some_passed_and_none_failed(reviewer, session, passed, failed, verdict):
    sessions.complete(session)
    assert submit(reviewer, session, passed=passed, failed=failed).json["metrics"]["testsPassed"] is verdict


def test_a_submitted_result_goes_before_what_the_events_tell(reviewer, assessment):
    session = make_closed_session(assessment, envelope("test_run", data={"passed": 9, "failed": 0}))
    assert seen(reviewer, session)["metrics"]["testsPassed"] is True
    assert submit(reviewer, session, passed=8, failed=1).json["metrics"]["testsPassed"] is False


def test_a_later_result_replaces_the_earlier_one(reviewer, session):
    sessions.complete(session)
    submit(reviewer, session, passed=8, failed=1, skipped=2, note="First run")
    answer = submit(reviewer, session, passed=9, failed=0)
    assert answer.json["testResult"] == {"passed": 9, "failed": 0, "skipped": None, "note": None}
    assert answer.json["metrics"]["testsPassed"] is True


def test_a_result_that_came_before_the_close_counts_at_the_close(reviewer, session):
    answer = submit(reviewer, session, passed=9, failed=0)
    assert (answer.json["status"], answer.json["metrics"]) == ("active", None)
    sessions.complete(session)
    assert seen(reviewer, session)["metrics"]["testsPassed"] is True


def test_a_result_reaches_the_cohort(reviewer, assessment, session):
    sessions.complete(session)
    submit(reviewer, session, passed=9, failed=0)
    statistics = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats").json["cohortStats"]
    assert statistics["metrics"]["testPassRate"] == 100


def test_a_result_comes_in_long_after_the_close(clock, reviewer, session):
    sessions.complete(session)
    clock.fixed = clock.now() + timedelta(days=90)
    assert submit(reviewer, session, passed=9, failed=0).json["metrics"]["testsPassed"] is True


@pytest.mark.parametrize("member", ["passed", "failed", "skipped"])
@pytest.mark.parametrize("wrong", [-1, 2**31, "1", 1.0, True, [1]])
def test_counts_are_strict_integers(reviewer, session, member, wrong):
    assert places(submit(reviewer, session, **({"passed": 1, "failed": 0} | {member: wrong}))) == [[member]]


@pytest.mark.parametrize("member", ["passed", "failed"])
@pytest.mark.parametrize("missing", [{}, {"value": None}])
def test_passed_and_failed_are_required(reviewer, session, member, missing):
    body = {"passed": 1, "failed": 0}
    body = (
        body | {member: None} if missing else {name: count for name, count in body.items() if name != member}
    )
    assert places(submit(reviewer, session, **body)) == [[member]]


def test_an_explicit_null_equals_leaving_it_out(reviewer, session):
    answer = submit(reviewer, session, passed=1, failed=0, skipped=None, note=None)
    assert answer.json["testResult"] == {"passed": 1, "failed": 0, "skipped": None, "note": None}


# Numbers outlive their events


def test_a_session_whose_events_are_gone_keeps_its_numbers(reviewer, assessment):
    session = make_closed_session(assessment, envelope("prompt"), envelope("prompt", at=60))
    before = seen(reviewer, session)
    Event.delete().where(Event.session == session).execute()
    after = submit(reviewer, session, passed=1, failed=0).json
    assert after["metrics"] == before["metrics"] | {"testsPassed": True}
    assert after["eventCount"] == 2


def test_the_columns_hold_the_exact_values(assessment):
    events = [envelope("command", data={"exitCode": code}) for code in (1, 0, 0)]
    session = make_closed_session(assessment, *events, envelope("file_diff", at=1.5))
    assert {name: getattr(session, name) for name in METRIC_COLUMNS} == {
        "duration_ms": 1500,
        "prompt_count": 0,
        "command_fail_rate": 333_333_333,
        "verify_intensity": 0,
        "manual_edit_ratio": 0,
        "first_change_latency_ms": 1500,
        "tests_passed": None,
    }
