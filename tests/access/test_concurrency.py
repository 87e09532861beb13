"""Limits on concurrent expensive requests."""

import queue
import threading

import factories
import pytest
from callers import Caller
from response_checks import error_of

from access import concurrency
from access.concurrency import LARGE_BODY, LONG_READ, ExpensiveRequests
from errors import TooManyRequests
from models.sessions.session import LARGE_EVENT_COUNT
from web.json import MAX_BODY_BYTES


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0)


def start(requests: ExpensiveRequests, words: str) -> str:
    """Start requests such as `ra` (a read by credential a) or `bc` (a body from c); return 1 or 0 for each."""
    outcomes = ""
    for kind, credential in words.split():
        try:
            requests.start(LONG_READ if kind == "r" else LARGE_BODY, credential)
            outcomes += "1"
        except TooManyRequests:
            outcomes += "0"
    return outcomes


@pytest.mark.parametrize(
    ("slots", "words", "outcomes"),
    [
        (2, "ra ra ba rb rc", "10010"),  # one per credential, of any kind
        (2, "ra rb rc bc bd be", "110110"),  # reads and bodies have separate slots
        (1, "ra rb bb bc", "1010"),
    ],
)
def test_credentials_and_kinds_have_separate_slots(no_waiting, slots, words, outcomes):
    assert start(ExpensiveRequests(slots, max_waiting=1), words) == outcomes


@pytest.mark.parametrize("second", ["ra", "rb"], ids=["same credential", "different credential"])
def test_a_request_waits_until_another_one_finishes(second):
    requests, outcomes = ExpensiveRequests(1, max_waiting=1), queue.Queue()
    finish = requests.start(LONG_READ, "a")
    threads = [threading.Thread(target=lambda: outcomes.put(start(requests, second))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert outcomes.get(timeout=5) == "0"  # rejected immediately: the other request is waiting
    assert outcomes.empty()
    finish()
    assert outcomes.get(timeout=5) == "1"


def enlarge(session):
    session.update_columns(stored_event_count=LARGE_EVENT_COUNT + 1)


READS = (
    *("integrity", "signed-log", "artifacts", "decisions", "timeline?detail=full", "timeline/x"),
    *("analytics", "export", ""),
)
CANDIDATE_READS = ("candidate/me/export", "candidate/workspace", "sessions/{id}", "sessions/{id}/signed-log")


def test_a_credential_reads_one_large_session_at_a_time(app, no_waiting, organization, reviewer, session):
    small_session = f"/v1/sessions/{factories.make_session(factories.make_key(session.assessment)).id}"
    path = f"/v1/sessions/{session.id}"
    enlarge(session)
    first = reviewer.request("GET", f"{path}/export", buffered=False)  # not read yet
    for name in (*READS, "bundle/files"):
        response = reviewer.request("GET", f"{path}/{name}".rstrip("/"))
        assert error_of(response) == (429, "too_many_requests"), name
        assert response.headers["Retry-After"] == "5"
    assert reviewer.get(f"{path}/timeline").status_code == 200
    for name in READS:
        assert reviewer.request("GET", f"{small_session}/{name}".rstrip("/")).status_code in (200, 404), name
    colleague = Caller.reviewer(app, organization)
    assert colleague.get(f"{path}/export").status_code == 200
    first.close()
    for name in READS:
        assert reviewer.request("GET", f"{path}/{name}".rstrip("/")).status_code in (200, 404), name


def test_a_candidate_makes_one_large_read_at_a_time(no_waiting, candidate, session):
    paths = [f"/v1/{path.format(id=session.id)}" for path in CANDIDATE_READS]
    enlarge(session)
    first = candidate.request("GET", paths[0], buffered=False)  # not read yet
    for path in paths:
        assert error_of(candidate.get(path)) == (429, "too_many_requests"), path
    first.close()
    for path in paths:
        assert candidate.get(path).status_code == 200, path


def test_a_credential_sends_one_large_body_at_a_time(app, no_waiting, candidate, session):
    enlarge(session)
    large = {"data": {"text": "x" * MAX_BODY_BYTES}}
    export = candidate.request("GET", "/v1/candidate/me/export", buffered=False)
    submission = {"sessionId": str(session.id), "bundleKey": "x", "bundleSize": 1, "bundleSha256": "0" * 64}
    bodies = {
        "hooks/ingest": (factories.envelope(), large),
        "hooks/ingest/batch": (
            {"events": [factories.envelope()]},
            {"events": [factories.envelope() | large]},
        ),
        "candidate/submit-code": (submission, {"diff": large["data"]["text"]}),
    }
    for path, (small, more) in bodies.items():
        assert error_of(candidate.post(f"/v1/{path}", small | more)) == (429, "too_many_requests"), path
        assert candidate.post(f"/v1/{path}", small).status_code in (200, 201), path
    export.close()
    for path, (small, more) in bodies.items():
        assert candidate.post(f"/v1/{path}", small | more).status_code in (200, 201), path
    # A rejected request releases its slot.
    for _ in range(2):
        assert error_of(candidate.post("/v1/hooks/ingest", large)) == (400, "invalid_request")
