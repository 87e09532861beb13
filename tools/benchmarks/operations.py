"""The measured operations and their requests."""

import json
import random
import uuid
from collections.abc import Callable
from typing import NamedTuple

from tools.benchmarks.data import Targets

PAGE = 50
RANDOM_REQUESTS = 1_000
# Must exceed the throughput, because repeated events are skipped.
UNIQUE_PER_SECOND = 3_000
JSON = {"Content-Type": "application/json"}


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: str = ""


class Operation(NamedTuple):
    """A measured operation.

    target -- the lowest accepted throughput ratio, product / limit
    request -- builds a random request
    is_unique -- whether each request can be sent only once
    has_random_response -- whether repeated requests get different responses
    """

    name: str
    target: float
    status: int
    request: Callable[[Targets, random.Random], Request]
    is_unique: bool = False
    has_random_response: bool = False

    def requests(self, targets: Targets, seconds: int) -> list[Request]:
        """Build enough random requests for `seconds` of load."""
        rng = random.Random(uuid.uuid4().int)
        count = UNIQUE_PER_SECOND * seconds if self.is_unique else RANDOM_REQUESTS
        return [self.request(targets, rng) for _ in range(count)]


def _assessment(targets: Targets, rng: random.Random) -> Request:
    key, assessment_id = rng.choice(targets.candidates)
    return Request("GET", f"/v1/assessments/{assessment_id}", {"X-API-Key": key})


def _page(targets: Targets, rng: random.Random) -> Request:
    offset = rng.randrange(0, targets.keys, PAGE)
    return Request("GET", f"/v1/candidates?limit={PAGE}&offset={offset}", _bearer(targets.token))


def _event(targets: Targets, rng: random.Random) -> Request:
    session = rng.choice(targets.open_sessions)
    event = {
        "id": str(uuid.uuid4()), "sessionId": session.id, "ts": "2026-04-02T09:12:44.123456789Z", "kind": "command",
        "source": "terminal", "actor": {"type": "human", "role": "candidate"}, "v": 1,
        "provenance": {"attribution": "likely_human", "confidence": 0.8, "methods": ["shell-hook"]},
        "data": {"command": "pytest -q", "exitCode": 0, "durationMs": 2000, "stdout": "." * 400},
    }  # fmt: skip
    headers = {"X-API-Key": session.key} | JSON
    return Request("POST", "/v1/hooks/ingest", headers, json.dumps(session.signer.sign(event)))


def _keys(targets: Targets, rng: random.Random) -> Request:
    # New addresses each time: emails to one address are limited (models/deliveries/limit.py).
    group = rng.getrandbits(64)
    body = {
        "count": 50,
        "candidateEmails": [f"candidate{number}@{group}.example" for number in range(50)],
        "candidateNames": [f"Candidate {number}" for number in range(50)],
    }
    path = f"/v1/assessments/{rng.choice(targets.growing_assessments)}/keys"
    return Request("POST", path, _bearer(targets.growing_token) | JSON, json.dumps(body))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


OPERATIONS = {
    "assessment": Operation("get an assessment by candidate key", 0.46, 200, _assessment),
    "candidates": Operation("candidates page of 50, 100,000 keys", 0.95, 200, _page),
    "ingest": Operation("ingest one signed event, durable", 0.38, 201, _event, is_unique=True),
    "keys": Operation("50 keys with their rows", 0.80, 201, _keys, has_random_response=True),
}
