"""`data` and `rawPayload` accept any JSON, and the session can still be closed and read."""

import json

import pytest

from models import Event
from tests.hostile.values import JSON_VALUES

KINDS = (
    "prompt", "ai_response", "command", "file_diff", "tool_intent", "mcp_call", "test_run", "session_start", "odd",
)  # fmt: skip
DATA_FIELDS = (
    "exitCode", "command", "path", "toolName", "tool", "inputTokens", "outputTokens", "cacheReadTokens", "totalCost",
    "model", "passed", "failed", "ideSessionId", "meta", "attribution",
)  # fmt: skip


def envelope(number, kind, data, **fields):
    known = {"id": f"event {number}", "kind": kind, "ts": f"2026-04-01T09:00:{number % 60:02}Z", "v": 1}
    text = json.dumps(known | {"source": "codex"} | fields).encode()
    return text[:-1] + b', "data": {%s}, "rawPayload": %s}' % (data, json.dumps("\x00\ud800").encode())


def ingest(candidate, body):
    return candidate.request("POST", "/v1/hooks/ingest", {"Content-Type": "application/json"}, data=body)


def complete(candidate, session):
    return candidate.post("/v1/candidate/complete", {"key": candidate.row.key, "sessionId": str(session.id)})


def test_hostile_data_is_stored_unchanged_and_the_session_can_be_closed_and_read(
    reviewer, candidate, session
):
    sent = []
    for turn, value in enumerate(JSON_VALUES.values()):
        data = b",".join(b'"%s": %s' % (field.encode(), value) for field in DATA_FIELDS)
        for kind in KINDS[turn % 3 :: 3]:
            body = envelope(len(sent), kind, data)
            assert ingest(candidate, body).status_code == 201, (kind, value)
            sent.append(body.decode())
    assert [event.envelope for event in Event.select().order_by(Event.seq)] == sent
    assert complete(candidate, session).status_code == 200
    response = reviewer.get(f"/v1/sessions/{session.id}")
    assert (response.status_code, response.json["eventCount"]) == (200, len(sent))
    assert response.json["metrics"]["durationMs"] == 59_000
    cohort = reviewer.get(f"/v1/assessments/{session.assessment_id}/cohort-stats", sessionId=session.id)
    assert cohort.json["cohortStats"]["sessionCount"] == 1


ODD = (
    None, 0, 1.5, True, "", "x" * 5000, [], [[]], {}, {"channel": 1, "integration": [], "type": {}, "methods": 1},
)  # fmt: skip


@pytest.mark.parametrize("field", ["source", "actor", "provenance", "relatedEventIds", "anything"])
def test_optional_envelope_fields_accept_any_type(candidate, session, field):
    for number, value in enumerate(ODD):
        body = envelope(number, "command", b'"command": "ls", "exitCode": 0', **{field: value})
        assert ingest(candidate, body).status_code == 201, value
    assert complete(candidate, session).status_code == 200
