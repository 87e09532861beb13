"""Events during a session's close: acknowledged events are in the metrics (R18), and requests do not wait long."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from independent_metrics import recompute

from tests.live.cast import Candidate, event, make_candidate, make_keys, send_copies
from tests.live.client import run_concurrently

CONCURRENT_SESSIONS = 4
COMMANDS = 2_000
INTEGERS = ("durationMs", "promptCount", "firstChangeLatencyMs", "commandCount", "fileChangeCount")


@pytest.mark.parametrize("sessions", [16, 300])
def test_the_metrics_include_every_acknowledged_event(service, reviewer, assessment, sessions):
    with ThreadPoolExecutor(CONCURRENT_SESSIONS) as threads:
        keys = make_keys(reviewer, assessment, sessions)
        candidates = list(threads.map(lambda key: Candidate(service, key), keys))
        sent = list(threads.map(complete_while_ingesting, candidates))
        paths = [f"/v1/sessions/{candidate.session_id}" for candidate in candidates]
        before = list(threads.map(lambda path: reviewer.get(path).json, paths))
        # Recomputing gives the same metrics.
        statement = "UPDATE sessions SET metrics_due = %s WHERE assessment_id = %s"
        service.execute(statement, True, service.stored_id(assessment["id"]))
        assert list(threads.map(lambda path: reviewer.get(path).json, paths)) == before
    for events, session in zip(sent, before, strict=True):
        assert (session["status"], session["eventCount"], session["lateEventCount"]) == ("completed", 4, 0)
        expected = recompute(events)
        assert {name: session["metrics"][name] for name in INTEGERS} == {
            name: expected[name] for name in INTEGERS
        }


def complete_while_ingesting(candidate):
    """Send four events and the completion concurrently, and return the events."""
    sent = [
        event("prompt", 0),
        event("prompt", 60),
        event("file_diff", 70, data={"path": "a.py"}),
        event("command", 80, data={"command": "pytest", "exitCode": 1}),
    ]
    ingests = [lambda body=body: candidate.ingest(body) for body in sent]
    completed, *ingested = run_concurrently([candidate.complete, *ingests])
    assert completed.status == 200
    assert [(response.status, response.json) for response in ingested] == [(201, {"ok": True})] * len(sent)
    return sent


def test_events_at_the_end_of_the_window_are_counted_or_late(service, reviewer, candidate):
    candidate.complete()
    candidate.ingest()
    # The window of ten minutes ends in half a second.
    closed_at, session_id = service.stored_time(600 - 0.5), service.stored_id(candidate.session_id)
    service.execute("UPDATE sessions SET closed_at = %s WHERE id = %s", closed_at, session_id)
    responses = []
    while sum("late" in response.json for response in responses) < 20:
        responses += run_concurrently([candidate.ingest] * 8)
    assert {response.status for response in responses} == {201}
    counted = 1 + sum(response.json == {"ok": True} for response in responses)
    session = reviewer.get(f"/v1/sessions/{candidate.session_id}")
    assert (session["eventCount"], session["lateEventCount"]) == (counted, 1 + len(responses) - counted)
    assert session["metrics"]["promptCount"] == counted


def test_other_sessions_events_do_not_wait_for_a_large_close(service, reviewer, assessment, candidate):
    # Parsing such a command takes some milliseconds.
    command = {"command": "a;" * 2000, "exitCode": 1}
    send_copies(service, candidate, event("command", data=command) | {"id": "NUMBER"}, COMMANDS)
    neighbour = make_candidate(service, reviewer, assessment)
    seconds = []
    with ThreadPoolExecutor(1) as threads:
        completion = threads.submit(candidate.complete)
        while not completion.done():
            started_at = time.monotonic()
            assert neighbour.ingest().status == 201
            seconds.append(time.monotonic() - started_at)
    assert completion.result().status == 200
    assert max(seconds) < sum(seconds) / 2  # of at least three requests
    assert reviewer.get(f"/v1/sessions/{candidate.session_id}")["metrics"]["commandCount"] == COMMANDS
