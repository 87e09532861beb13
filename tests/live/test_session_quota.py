"""Concurrent events to several processes never exceed a session's quota."""

from collections import Counter

import pytest

from models.sessions.quota import COUNT_INTERVAL, RESERVE
from tests.live.cast import event, make_assessment, make_candidate
from tests.live.client import run_concurrently
from tests.live.service import Service

# At first stored without counting, then counted one by one.
MAX_EVENTS = RESERVE.events + 2 * COUNT_INTERVAL
SENDERS = 8


@pytest.fixture
def service(installation):
    installation.settings["SESSION_MAX_EVENTS"] = str(MAX_EVENTS)
    with installation.start(processes=2) as service:
        yield service


def test_concurrent_events_and_batches_fill_a_session_exactly(service: Service):
    reviewer = service.organization("Acme")
    candidate = make_candidate(service, reviewer, make_assessment(reviewer))

    def send_events() -> list[str]:
        responses = [candidate.ingest() for _ in range(MAX_EVENTS // SENDERS)]
        assert {response.status for response in responses} <= {201, 413}
        return ["created" if response.status == 201 else "rejected" for response in responses]

    def send_batches() -> list[str]:
        batches = [{"events": [event() for _ in range(30)]} for _ in range(6)]
        results = [candidate.post("/v1/hooks/ingest/batch", batch)["results"] for batch in batches]
        return [result["status"] for batch in results for result in batch]

    outcomes = run_concurrently([send_events] * SENDERS + [send_batches] * 2)
    counts = Counter(outcome for each in outcomes for outcome in each)
    assert counts["created"] == MAX_EVENTS
    integrity = reviewer.get(f"/v1/sessions/{candidate.session_id}/integrity")
    assert integrity["counts"]["events"] == MAX_EVENTS
    (finding,) = [finding for finding in integrity["findings"] if finding["code"] == "session_full"]
    assert finding["count"] == counts["rejected"] == counts.total() - MAX_EVENTS
