"""Archived checkpoints in log lines and webhook bodies."""

import json
from uuid import UUID

import pytest

from rules.ledger import checkpoints

DATA = {
    "organizationId": str(UUID(int=1)),
    "position": 7,
    "head": "ab",
    "createdAt": "2026-04-01T09:00:00.000Z",
}
BODY = json.dumps({"type": "ledger.checkpoint", "data": DATA})


@pytest.mark.parametrize(
    "line", [BODY, f"2026-04-01 INFO: {BODY}", json.dumps({"message": BODY}), f"{BODY} later"]
)
def test_checkpoints_are_read_from_logs_and_webhook_bodies(line):
    (checkpoint,) = checkpoints.read(["Nothing.", line])
    assert str(checkpoint) == f"organization {UUID(int=1)}, checkpoint 7"
    assert checkpoint.head == "ab"


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "[1]", "{" * 10**5, '{"message": "{"}', json.dumps({"type": "session.closed", "data": DATA}),
        *(json.dumps({"type": "ledger.checkpoint", "data": data}) for data in (
            None, [], {}, DATA | {"position": True}, DATA | {"position": "7"}, DATA | {"head": 1},
            DATA | {"organizationId": "x"}, DATA | {"createdAt": "yesterday"}, DATA | {"createdAt": None},
        )),
    ],
)  # fmt: skip
def test_other_lines_are_skipped(line):
    assert list(checkpoints.read([line])) == []
