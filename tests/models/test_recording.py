"""Events recorded by the service's channels: ids, order, masking (R36 to R38)."""

import hashlib
import json
from datetime import timedelta

import factories
import pytest

from models import Event, sessions
from rules.events.recorded_events import MAX_EVENT_BYTES, EventSource, RecordedEvent

PROMPT = RecordedEvent("prompt", {"text": "Fix the queue"}, "prompt-1")
COMMAND = RecordedEvent("command", {"toolUseId": "toolu_1", "command": "make", "exitCode": 0}, "toolu_1")


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


def stored_envelopes(session):
    rows = Event.select().where(Event.session == session).order_by(Event.time_ns, Event.seq)
    return [json.loads(row.envelope) for row in rows]


def test_events_are_stored_once_with_their_envelope(clock, session):
    event_source = EventSource("proxy", "claude-code", "2.1.197", "agent-1")
    assert sessions.record(session, (event_source, [PROMPT, COMMAND])) == 2
    clock.fixed += timedelta(minutes=1)
    assert sessions.record(session, (event_source, [PROMPT, COMMAND])) == 0
    prompt, command = stored_envelopes(session)
    assert prompt == {
        "id": prompt["id"],
        "sessionId": str(session.id),
        "ts": "2026-04-01T09:00:00.000Z",
        "v": 1,
        "kind": "prompt",
        "source": {"channel": "proxy", "tool": "claude-code", "version": "2.1.197"},
        "actor": {"type": "human"},
        "provenance": {"methods": ["proxy"], "observability": "high"},
        "data": {"text": "Fix the queue", "meta": {"ideSessionId": "agent-1"}},
    }
    assert (command["actor"], command["ts"]) == ({"type": "ai"}, "2026-04-01T09:00:00.000000001Z")
    assert command["data"]["toolUseId"] == "toolu_1"


def test_stored_positions_depend_on_the_agent_session(session):
    event_source = EventSource("proxy", None, None, "agent-1")
    sessions.record(session, (event_source, [COMMAND]))
    assert sessions.stored_positions(session, event_source, [PROMPT, COMMAND]) == {1}
    other = event_source._replace(agent_session="agent-2")
    assert sessions.stored_positions(session, other, [PROMPT, COMMAND]) == set()
    assert sessions.stored_positions(session, event_source, []) == set()


def test_list_order_is_kept_across_batches(clock, session):
    events = [RecordedEvent("tool_use", {"n": number}, f"id-{number}") for number in range(450)]
    assert factories.record(session, "otlp", *events) == 450
    assert [event["data"]["n"] for event in stored_envelopes(session)] == list(range(450))


@pytest.mark.parametrize("text", ["x", "\U0001f600", "\ud800\U0001f600", "\0"])
def test_a_long_event_is_truncated_and_names_its_size_and_hash(session, text):
    long = RecordedEvent("planning", {"toolName": "x", "text": text * 2**20, "todos": [text] * 2**18}, "1")
    factories.record(session, "http-hook", long, PROMPT)
    event, prompt = stored_envelopes(session)
    assert MAX_EVENT_BYTES // 20 < Event.get(Event.kind == "planning").size <= MAX_EVENT_BYTES
    assert (event["data"]["toolName"], prompt["data"]["text"]) == ("x", "Fix the queue")
    for name in ("text", "todos"):
        assert event["data"][name].endswith("\n[truncated]")
    data = json.dumps(
        long.data | {"meta": event["data"]["meta"]}, ensure_ascii="\ud800" in text, separators=(",", ":")
    )
    sha256 = hashlib.sha256(data.encode()).hexdigest()
    assert event["data"]["original"] == {"bytes": len(data.encode()), "sha256": sha256}


def test_events_can_have_an_explicit_time(clock, session):
    factories.record(session, "otlp", COMMAND, RecordedEvent("prompt", {"text": "x"}, "1", at=clock.now()))
    early = RecordedEvent("prompt", {"text": "y"}, "2", at=clock.now() - timedelta(milliseconds=1500))
    factories.record(session, "otlp", early)
    assert [event["ts"] for event in stored_envelopes(session)] == [
        "2026-04-01T08:59:58.500Z",
        "2026-04-01T09:00:00.000Z",
        "2026-04-01T09:00:00.000000001Z",
    ]


def test_secrets_are_masked_before_they_are_stored(session):
    key = session.key.key
    secret = RecordedEvent("command", {"command": f"curl -H 'X-API-Key: {key.lower()}'"}, key)
    factories.record(session, "http-hook", secret, agent_session=key)
    row = Event.get()
    assert key not in f"{row.envelope}{row.subject}{row.joins}".upper()
    assert row.subject == "curl -H 'X-API-Key: [masked]'"


def test_home_folders_are_masked_except_in_the_text_of_changed_files(session):
    diff = "--- a/~/x\n+++ b/~/x\n@@ -0,0 +1 @@\n+HOME=/home/alice\n"
    change = RecordedEvent("file_diff", {"path": "/home/alice/x", "diff": diff}, "one")
    factories.record(session, "proxy", change, RecordedEvent("prompt", {"text": "Read /home/alice/y"}, "two"))
    envelopes = stored_envelopes(session)
    assert (envelopes[0]["data"]["path"], envelopes[0]["data"]["diff"]) == ("~/x", diff)
    assert envelopes[1]["data"]["text"] == "Read ~/y"


HOSTILE = [
    {"text": "\0 and \ud800"},
    {"text": 10**5000, "n": float("nan"), "m": float("inf"), "k": 2**70},
    {"text": {"a": [None, True, {"b": "\udfff"}]}, "toolUseId": "\ud800", "meta": "none"},
    {"meta": {"ideSessionId": 1}, "text": json.loads("[" * 500 + "]" * 500)},
]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("kind", ["prompt", "command", "file_diff", "ai_response"])
def test_hostile_content_is_stored(session, kind, data):
    assert factories.record(session, "proxy", RecordedEvent(kind, data, "\ud800\0")) == 1
    assert stored_envelopes(session)[0]["data"]["meta"] == {"ideSessionId": "agent-1"}
