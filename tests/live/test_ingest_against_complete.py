"""Events that arrive while the session closes: each that was answered with 201 is in the metrics (R18)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from independent_metrics import recompute

from tests.live.cast import event, make_keys, start_session
from tests.live.client import run_concurrently

SESSIONS_AT_A_TIME = 4
INTEGERS = ("durationMs", "promptCount", "firstChangeLatencyMs", "commandCount", "fileChangeCount")


@pytest.mark.parametrize("sessions", [16, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_acknowledged_event_is_in_the_metrics(service, reviewer, assessment, sessions):
    keys = [key["key"] for key in make_keys(reviewer, assessment, sessions)]
    with ThreadPoolExecutor(SESSIONS_AT_A_TIME) as threads:
        session_ids = list(threads.map(lambda key: start_session(service, key), keys))
        outcomes = list(threads.map(lambda *it: race(service, *it), keys, session_ids))
        shown = list(threads.map(lambda it: look(reviewer, it), session_ids))
        # The same numbers come out when they are derived afresh.
        statement = "UPDATE sessions SET metrics_due = %s WHERE assessment_id = %s"
        service.execute(statement, True, service.stored_id(assessment["id"]))
        assert list(threads.map(lambda it: look(reviewer, it), session_ids)) == shown
    for (sent, completed, ingested), session in zip(outcomes, shown, strict=True):
        assert (completed.status, session["status"]) == (200, "completed")
        assert [(answer.status, answer.json) for answer in ingested] == [(201, {"ok": True})] * len(sent)
        assert (session["eventCount"], session["lateEventCount"]) == (len(sent), 0)
        expected = recompute(sent)
        assert integers(session["metrics"]) == integers(expected)


def look(reviewer, session_id):
    return reviewer.get(f"/v1/sessions/{session_id}").json


def integers(metrics):
    return {name: metrics[name] for name in INTEGERS}


def race(service, key, session_id):
    """Send some events and one complete at the same moment: the events, complete's answer, the events' answers."""
    sent = [
        event("prompt", 0),
        event("prompt", 60),
        event("file_diff", 70, data={"path": "a.py"}),
        event("command", 80, data={"command": "pytest", "exitCode": 1}),
    ]
    candidate, completion = service.candidate(key), {"key": key, "sessionId": session_id}
    ingests = [lambda it=it: candidate.post("/v1/hooks/ingest", it) for it in sent]
    completed, *ingested = run_concurrently(
        [lambda: candidate.post("/v1/candidate/complete", completion), *ingests]
    )
    return sent, completed, ingested


def test_events_that_arrive_as_the_window_ends_count_or_are_marked_late(service, reviewer, assessment):
    """The close is set back to just under ten minutes ago, so that some of the events come after the window."""
    (key,) = make_keys(reviewer, assessment, 1)
    session_id = start_session(service, key["key"])
    candidate = service.candidate(key["key"])
    candidate.post("/v1/candidate/complete", {"key": key["key"], "sessionId": session_id})
    candidate.post("/v1/hooks/ingest", event())
    closed_at = service.stored_time(seconds_ago=600 - 0.5)
    service.execute(
        "UPDATE sessions SET closed_at = %s WHERE id = %s", closed_at, service.stored_id(session_id)
    )
    answers = []
    while sum("late" in answer.json for answer in answers) < 20:
        answers += run_concurrently([lambda: candidate.post("/v1/hooks/ingest", event())] * 8)
    assert {answer.status for answer in answers} == {201}
    counted = 1 + sum(answer.json == {"ok": True} for answer in answers)
    shown = reviewer.get(f"/v1/sessions/{session_id}")
    assert (shown["eventCount"], shown["lateEventCount"]) == (counted, 1 + len(answers) - counted)
    assert shown["metrics"]["promptCount"] == counted
