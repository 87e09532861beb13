"""At a locked address, every process accepts credentials that were used from there before, even after a restart."""

import itertools

from tests.live.cast import make_assessment, make_candidate
from tests.live.client import Client, run_concurrently
from tests.live.service import Service, wait_until

PROCESSES = 3
LIMIT = 5  # invalid credentials per process
REQUESTS = 40


def statuses(caller: Client) -> set[int]:
    """Send enough requests to reach every process, and return their statuses."""
    responses = run_concurrently([lambda: caller.get("/v1/me")] * REQUESTS)
    return {response.status for response in responses}


def lock_address(service: Service) -> None:
    """Guess tokens until all processes lock the address."""
    numbers, results = itertools.count(), []

    def guess() -> int:
        caller = Client(service.port, Authorization=f"Bearer psk_live_{next(numbers):036}")
        return caller.get("/v1/me").status

    def is_locked() -> bool:
        results.extend(run_concurrently([guess] * REQUESTS))
        return results.count(401) >= PROCESSES * LIMIT and set(results[-REQUESTS:]) == {429}

    wait_until(is_locked, "The address was not locked.")


def test_known_credentials_work_at_a_locked_address(installation):
    limit = f"{LIMIT} per hour"
    installation.settings |= {"RATELIMIT_ENABLED": "true", "RATELIMIT_INVALID_CREDENTIALS": limit}
    with installation.start(PROCESSES) as service:
        reviewer = service.organization("Acme")
        candidate = make_candidate(service, reviewer, make_assessment(reviewer))
        secret = reviewer.post("/v1/org/tokens", {"name": "Not used yet"})["secret"]
        unused = Client(service.port, Authorization=f"Bearer {secret}")
        for _ in range(2):
            lock_address(service)
            assert statuses(candidate) == {200}
            assert statuses(reviewer) == {200}
            assert candidate.ingest().status == 201
            assert 429 in statuses(unused)
            service.stop()
            service.start(PROCESSES)
            for caller in (reviewer, candidate, unused):
                caller.port = service.port
        assert candidate.complete().status == 200
