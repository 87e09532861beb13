"""Load from reviewers and candidates during a database outage."""

import time
from typing import Any, NamedTuple

from tests.live.cast import ASSESSMENT, Candidate, invite, list_keys, make_assessment, make_keys
from tests.live.client import Response
from tests.live.service import Service, wait_until


class Exchange(NamedTuple):
    """A request's response and monotonic times."""

    started_at: float
    ended_at: float
    response: Response


class Callers:
    """Calls for `Load`, and their results."""

    def __init__(self, service: Service):
        self.reviewer = service.organization("Acme")
        self.assessment = make_assessment(self.reviewer)
        keys = make_keys(self.reviewer, self.assessment, 3)
        self.candidates = [Candidate(service, key) for key in keys]
        self.exchanges: list[Exchange] = []
        reads = [lambda: self.reviewer.get("/v1/candidates")] * 2
        creates = [lambda: self.reviewer.post("/v1/assessments", ASSESSMENT)] * 2
        calls = [*reads, *creates, *(candidate.ingest for candidate in self.candidates)]
        self.calls = [lambda call=call: self._record(call) for call in calls]

    def _record(self, call: Any) -> None:
        started_at = time.monotonic()
        response = call()
        self.exchanges.append(Exchange(started_at, time.monotonic(), response))

    @property
    def rejected(self) -> list[Exchange]:
        return [exchange for exchange in list(self.exchanges) if exchange.response.status not in (200, 201)]

    def _succeeded(self) -> int:
        return len(self.exchanges) - len(self.rejected)

    def wait_for_successes(self) -> None:
        target = self._succeeded() + 200
        wait_until(lambda: self._succeeded() > target, "Requests did not succeed.")

    def assert_worker_delivers(self) -> None:
        invite(self.reviewer, self.assessment, "alice@example.com")
        wait_until(lambda: "saved" in self._invitation_states(), "The worker did not deliver.")

    def _invitation_states(self) -> list[str]:
        return [key["invite"]["state"] for key in list_keys(self.reviewer, self.assessment) if key["invite"]]

    def assert_rejected_with_503_and_nothing_lost(self) -> None:
        """Requests whose connection broke during the commit can be stored without a response."""
        for exchange in self.rejected:
            assert_unavailable(exchange.response)
        self.assert_nothing_lost()

    def assert_nothing_lost(self) -> None:
        created = [exchange.response for exchange in self.exchanges if exchange.response.status == 201]
        assessments = sum("assessment" in response.json for response in created)
        listed = len(self.reviewer.get("/v1/assessments")["assessments"]) - 1
        sessions = [
            self.reviewer.get(f"/v1/sessions/{candidate.session_id}") for candidate in self.candidates
        ]
        stored = sum(session["eventCount"] for session in sessions)
        assert 0 <= listed - assessments <= len(self.rejected)
        assert 0 <= stored - (len(created) - assessments) <= len(self.rejected)


def assert_unavailable(response: Response) -> None:
    assert (response.status, response["code"]) == (503, "unavailable")
    assert response.headers["Content-Type"] == "application/json"
    assert int(response.headers["Retry-After"]) > 0
