"""Sessions: fields for reviewers and candidates, time limit, submitted test results (R3, R17, R18)."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session
from response_checks import body_of, error_of, error_paths

from models import Event, Session, TaskFailure, db, sessions
from models.sessions import metrics
from models.sessions.session import METRIC_COLUMNS

CANDIDATE_FIELDS = {
    "id", "assessmentId", "keyId", "orgName", "assessmentTitle", "status", "eventCount", "lateEventCount",
    "redeemedAt", "closesAt", "closedAt", "completedAt", "retainedUntil", "erasureRequestedAt",
}  # fmt: skip
REVIEWER_FIELDS = {
    *(
        "candidateName",
        "candidateEmail",
        "hiredAt",
        "metrics",
        "coverage",
        "erasedAt",
        "testResult",
        "hiddenTests",
    ),
    *("decision", "decisionReason", "decisionFindingReason", "decidedAt", "decidedBy"),
}
METRICS = {
    "durationMs", "promptCount", "commandFailRate", "verifyIntensity", "manualEditRatio", "firstChangeLatencyMs",
    "testsPassed", "testsPassedSource", "commandCount", "fileChangeCount", "uniqueFilesTouched", "testRunCount",
    "decisionCount", "errorEpisodes", "toolUsage", "tokens", "totalCostUsd", "aiAttributionPct", "derivationVersion",
}  # fmt: skip
LIMIT = "2026-04-01T10:35:00.000Z"


@pytest.fixture
def limited(clock, organization):
    """A session that started at 9:00 with a time limit of 90 minutes."""
    return make_session(make_key(make_assessment(organization, time_limit_minutes=90)))


def read(caller, session):
    return body_of(caller.get(f"/v1/sessions/{session.id}"))


def close(reviewer, session):
    return body_of(reviewer.post(f"/v1/sessions/{session.id}/close"))


def put_result(reviewer, session, **result):
    return reviewer.put(f"/v1/sessions/{session.id}/test-result", result)


def test_open_session_fields(reviewer, limited):
    add_event(limited, envelope())
    body = read(reviewer, limited)
    null_fields = (
        "closedAt",
        "completedAt",
        "retainedUntil",
        "erasureRequestedAt",
        "hiredAt",
        "metrics",
        "erasedAt",
    )
    assert body == body | dict.fromkeys(null_fields) | {
        "id": str(limited.id),
        "assessmentId": str(limited.assessment_id),
        "keyId": str(limited.key_id),
        "orgName": "Acme",
        "assessmentTitle": "Backend API Challenge",
        "status": "active",
        "eventCount": 1,
        "lateEventCount": 0,
        "redeemedAt": "2026-04-01T09:00:00.000Z",
        "closesAt": LIMIT,
        "candidateName": "Alice",
        "candidateEmail": "alice@example.com",
        "testResult": None,
        "hiddenTests": None,
    }


def test_completed_session_fields(clock, reviewer, session):
    add_event(session, envelope("session_start"))
    add_event(session, envelope("prompt", at=90))
    clock.fixed += timedelta(minutes=3)
    sessions.complete(session)
    session.key.revoke()
    body = read(reviewer, session)
    assert set(body) >= CANDIDATE_FIELDS | REVIEWER_FIELDS
    assert (body["status"], body["closesAt"]) == ("completed", None)
    assert body["closedAt"] == body["completedAt"] == "2026-04-01T09:03:00.000Z"
    assert set(body["metrics"]) >= METRICS
    assert (body["metrics"]["durationMs"], body["metrics"]["promptCount"]) == (90_000, 1)
    assert body["metrics"]["derivationVersion"] == 2
    clock.fixed += timedelta(hours=1)
    assert close(reviewer, session) == body


def test_metrics_are_rounded_only_in_responses(reviewer, assessment):
    events = [envelope("command", data={"command": "ls", "exitCode": code}) for code in (1, 0, 0)]
    session = make_closed_session(assessment, *events, envelope("file_diff", at=1.5))
    assert read(reviewer, session)["metrics"]["commandFailRate"] == 0.333
    assert {name: getattr(session, name) for name in METRIC_COLUMNS} == {
        "duration_ms": 1500,
        "prompt_count": 0,
        "command_fail_rate": 333_333_333,
        "verify_intensity": 0,
        "manual_edit_ratio": 0,
        "first_change_latency_ms": 1500,
        "tests_passed": None,
        "known_exit_code_count": 3,
        "file_change_count": 1,
        "attributed_change_count": 0,
    }


def test_reviewer_fields_are_hidden_from_candidates(candidate, session):
    for status in ("active", "completed"):
        body = read(candidate, session)
        assert set(body) >= CANDIDATE_FIELDS
        assert not set(body) & REVIEWER_FIELDS
        assert body["status"] == status
        sessions.complete(session)


def test_session_expires_five_minutes_after_its_limit(clock, reviewer, limited):
    clock.fixed += timedelta(minutes=95, milliseconds=-1)
    assert read(reviewer, limited)["status"] == "active"
    clock.fixed += timedelta(milliseconds=1)
    body = read(reviewer, limited)
    assert (body["status"], body["completedAt"]) == ("expired", None)
    assert body["closedAt"] == body["closesAt"] == LIMIT


@pytest.mark.parametrize("first", ["candidate", "reviewer", "close"])
def test_expired_session_closes_at_its_limit(app, clock, reviewer, limited, first):
    add_event(limited, envelope("prompt"))
    clock.fixed += timedelta(days=30)
    actions = {
        "candidate": lambda: read(Caller.candidate(app, limited.key), limited),
        "reviewer": lambda: read(reviewer, limited),
        "close": lambda: close(reviewer, limited),
    }
    assert actions[first]()["closedAt"] == LIMIT
    assert read(reviewer, limited)["metrics"]["promptCount"] == 1


def test_session_without_a_limit_stays_open(clock, reviewer, session):
    add_event(session, envelope("prompt"))
    clock.fixed += timedelta(days=300)
    body = read(reviewer, session)
    assert (body["status"], body["closesAt"]) == ("active", None)
    closed = close(reviewer, session)
    assert closed == read(reviewer, session)
    assert (closed["status"], closed["completedAt"]) == ("expired", None)
    assert closed["closedAt"] == "2027-01-26T09:00:00.000Z"
    assert closed["metrics"]["promptCount"] == 1
    clock.fixed += timedelta(hours=1)
    assert close(reviewer, session) == closed


def test_test_result_can_be_replaced_long_after_the_close(clock, reviewer, assessment, session):
    sessions.complete(session)
    response = put_result(reviewer, session, passed=41, failed=1, skipped=1, note=" Node 22, clean clone ")
    assert response.status_code == 200
    expected = {"passed": 41, "failed": 1, "skipped": 1, "note": "Node 22, clean clone", "source": "team"}
    assert response.json["testResult"] == expected == read(reviewer, session)["testResult"]
    assert response.json["metrics"]["testsPassed"] is False
    clock.fixed += timedelta(days=90)
    replaced = put_result(reviewer, session, passed=9, failed=0, skipped=None).json
    counts = {"passed": 9, "failed": 0, "skipped": None}
    assert replaced["testResult"] == counts | {"note": None, "source": "team"}
    assert replaced["metrics"]["testsPassed"] is True
    statistics = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats").json["cohortStats"]
    assert statistics["metrics"]["testPassRate"] == 100


def test_test_result_for_an_open_session_counts_when_it_closes(reviewer, session):
    body = put_result(reviewer, session, passed=9, failed=0).json
    assert (body["status"], body["metrics"]) == ("active", None)
    sessions.complete(session)
    assert read(reviewer, session)["metrics"]["testsPassed"] is True


def test_test_result_is_validated(reviewer, session):
    for field in ("passed", "failed", "skipped"):
        for invalid in (-1, 2**31, "1"):
            body = {"passed": 1, "failed": 0} | {field: invalid}
            assert error_paths(put_result(reviewer, session, **body)) == [[field]]
    assert error_paths(put_result(reviewer, session)) == [["passed"], ["failed"]]


def test_metrics_are_kept_when_the_events_are_deleted(reviewer, assessment):
    session = make_closed_session(assessment, envelope("prompt"), envelope("prompt", at=60))
    before = read(reviewer, session)
    Event.delete().where(Event.session == session).execute()
    after = put_result(reviewer, session, passed=1, failed=0).json
    assert after["metrics"] == before["metrics"] | {"testsPassed": True, "testsPassedSource": "team"}
    assert after["eventCount"] == 2


# Concurrent requests while metrics are derived


def complete(reviewer, session):
    body = {"key": session.key.key, "sessionId": str(session.id)}
    body_of(Caller(reviewer.client.application).post("/v1/candidate/complete", body))


def erase(reviewer, session):
    body_of(reviewer.delete(f"/v1/candidates/{session.key_id}/data"))


def submit_result(reviewer, session):
    body_of(put_result(reviewer, session, passed=1, failed=0))


@pytest.fixture
def derivations(monkeypatch):
    """Calls `derivations.during` while metrics are derived."""
    derive = metrics.derive_values

    def derive_slowly(session):
        values = derive(session)
        hook.during(session)
        return values

    hook = SimpleNamespace(during=lambda session: None)
    monkeypatch.setattr(metrics, "derive_values", derive_slowly)
    return hook


ACTIONS = {
    "complete": (complete, None),
    "close": (close, None),
    "erase": (erase, None),
    "read at the limit": (read, timedelta(hours=2)),
    "submit a result": (submit_result, timedelta(hours=2)),
    "close all due": (lambda *_: sessions.close_all_due(), timedelta(hours=2)),
}


@pytest.mark.parametrize(("act", "wait"), ACTIONS.values(), ids=ACTIONS)
def test_metrics_are_derived_before_the_transaction(clock, reviewer, limited, derivations, act, wait):
    add_event(limited, envelope("prompt"))
    if wait:
        sessions.close(limited)
        clock.fixed += wait
        Session.update(metrics_due=True).execute()
    depths = []
    derivations.during = lambda session: depths.append(db.transaction_depth())
    act(reviewer, limited)
    # The test runs in a transaction, which counts as the first.
    assert depths == [1]
    assert read(reviewer, limited)["metrics"]["promptCount"] == 1


@pytest.mark.parametrize("act", [complete, close, erase, submit_result])
def test_event_that_arrives_during_the_derivation_counts(reviewer, session, assessment, derivations, act):
    def send(session):
        derivations.during = lambda session: None
        add_event(session, envelope("prompt"))

    if act is submit_result:
        sessions.close(session)
    derivations.during = send
    act(reviewer, session)
    body = read(reviewer, session)
    assert (body["eventCount"], body["metrics"]["promptCount"]) == (1, 1)
    assert body["metrics"]["testsPassed"] is (True if act is submit_result else None)
    statistics = body_of(reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats"))["cohortStats"]
    assert statistics["metrics"]["avgPromptCount"] == 1


def test_metrics_are_derived_once_at_a_time(clock, reviewer, limited, derivations, monkeypatch):
    monkeypatch.setattr(metrics, "LOCK_TIMEOUT_SECONDS", 0.01)
    clock.fixed += timedelta(hours=2)
    path, api_errors = f"/v1/sessions/{limited.id}", []
    derivations.during = lambda session: api_errors.append(error_of(reviewer.get(path)))
    assert body_of(reviewer.get(path))["closedAt"] == LIMIT
    assert api_errors == [(503, "unavailable")]
    assert TaskFailure.select().count() == 0


def test_session_with_a_revoked_key_includes_the_hiring_decision(reviewer, candidate, key, session):
    path = f"/v1/sessions/{session.id}"
    assert reviewer.get(path).json["decidedAt"] is None
    reviewer.put(f"/v1/candidates/{key.id}/decision", {"decision": "rejected", "reason": "No tests."})
    key.revoke()
    body = reviewer.get(path).json
    assert (body["decision"], body["decisionReason"]) == ("rejected", "No tests.")
    author = {"id": str(reviewer.row.id), "name": reviewer.row.name, "kind": "serviceAccount"}
    assert body["decidedBy"] == author
