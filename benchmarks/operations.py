"""The hot operations, as HTTP requests that are ready to be sent."""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.data import KEYS, Targets

Headers = dict[str, str]


class Operation(NamedTuple):
    """`requests` gives the requests of one connection, without end."""

    name: str
    status: int
    requests: Callable[[random.Random], Iterator[bytes]]
    changes_nothing: bool = True


def operations(targets: Targets) -> list[Operation]:
    return [
        Operation("get an assessment by candidate key", 200, lambda chance: _assessments(targets, chance)),
        Operation("candidates page of 50", 200, lambda chance: _pages(targets, chance)),
        Operation("ingest one event", 201, lambda chance: _events(targets, chance), changes_nothing=False),
        Operation("cohort statistics with percentiles", 200, lambda chance: _statistics(targets, chance)),
        Operation("issue 50 keys", 201, lambda chance: _keys(targets), changes_nothing=False),
    ]


def _assessments(targets: Targets, chance: random.Random) -> Iterator[bytes]:
    while True:
        key, assessment_id = chance.choice(targets.candidates)
        yield request("GET", f"/v1/assessments/{assessment_id}", {"X-API-Key": key})


def _pages(targets: Targets, chance: random.Random) -> Iterator[bytes]:
    while True:
        path = f"/v1/candidates?limit=50&offset={chance.randrange(KEYS - 50)}"
        yield request("GET", path, _bearer(targets.token))


def _events(targets: Targets, chance: random.Random) -> Iterator[bytes]:
    while True:
        key, session_id = chance.choice(targets.open_sessions)
        event = {
            "id": str(uuid.uuid4()),
            "sessionId": session_id,
            "ts": "2026-04-02T09:12:44.123456789Z",
            "kind": "command",
            "source": "terminal",
            "actor": {"type": "human", "role": "candidate"},
            "provenance": {"attribution": "likely_human", "confidence": 0.8, "methods": ["shell-hook"]},
            "v": 1,
            "data": {"command": "pytest -q", "exitCode": 0, "durationMs": 2000, "stdout": "." * 400},
        }
        yield request("POST", "/v1/hooks/ingest", {"X-API-Key": key}, event)


def _statistics(targets: Targets, chance: random.Random) -> Iterator[bytes]:
    while True:
        session_id, assessment_id = chance.choice(targets.sessions)
        path = f"/v1/assessments/{assessment_id}/cohort-stats?sessionId={session_id}"
        yield request("GET", path, _bearer(targets.token))


def _keys(targets: Targets) -> Iterator[bytes]:
    people = {
        "count": 50,
        "candidateEmails": [f"candidate{number}@example.com" for number in range(50)],
        "candidateNames": [f"Candidate {number}" for number in range(50)],
    }
    path = f"/v1/assessments/{targets.growing_assessment}/keys"
    same = request("POST", path, _bearer(targets.growing_token), people)
    while True:
        yield same


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def request(method: str, path: str, headers: Headers, body: Any = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content
