"""What everybody in these tests does through the API: reviewers make, candidates begin."""

import uuid
from typing import Any

from tests.live.client import Answer, Client
from tests.live.service import Service

MOST_KEYS = 50
ASSESSMENT = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": "Fix it."}


def make_assessment(reviewer: Client) -> dict[str, Any]:
    """A new assessment without a time limit, as the API shows it."""
    return reviewer.post("/v1/assessments", ASSESSMENT)["assessment"]


def make_keys(reviewer: Client, assessment: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """That many keys without an address."""
    path = f"/v1/assessments/{assessment['id']}/keys"
    parts = [min(MOST_KEYS, count - made) for made in range(0, count, MOST_KEYS)]
    return [key for part in parts for key in reviewer.post(path, {"count": part})["keys"]]


def invite(reviewer: Client, assessment: dict[str, Any], *addresses: str, **members: Any) -> Answer:
    """The answer to generating a key for each address."""
    body = {"count": len(addresses), "candidateEmails": addresses} | members
    return reviewer.post(f"/v1/assessments/{assessment['id']}/keys", body)


def keys_of(reviewer: Client, assessment: dict[str, Any]) -> list[dict[str, Any]]:
    return reviewer.get(f"/v1/assessments/{assessment['id']}/keys")["keys"]


def agree(service: Service, key: str) -> None:
    assert service.anonymous.post("/v1/candidate/consent", {"key": key}).status == 200


def begin(service: Service, key: str) -> str:
    """Agree and redeem; the session's id."""
    agree(service, key)
    return service.anonymous.post("/v1/candidate/redeem", {"key": key})["sessionId"]


def event(kind: str = "prompt", second: int = 0, **members: Any) -> dict[str, Any]:
    """An event as a client sends it."""
    ts = f"2026-04-01T09:{second // 60:02}:{second % 60:02}.000Z"
    return {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "ts": ts,
        "v": 1,
        "source": "terminal",
        "data": {},
    } | members
