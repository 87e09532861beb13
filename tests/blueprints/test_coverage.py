"""A session's coverage for reviewers, and model calls in the candidate's export (R38)."""

import json
from datetime import timedelta

import factories
import pytest
from factories import add_event, envelope, make_model_call
from response_checks import body_of

from models import ModelUsage, Session, privacy, sessions
from models.sessions.coverage import read_coverage
from rules.events.recorded_events import RecordedEvent

PROMPT = RecordedEvent("prompt", {"text": "Fix it"}, "1")
COMMAND = RecordedEvent("command", {"toolUseId": "toolu_1", "command": "make", "exitCode": 0}, "toolu_1")
CREATED = RecordedEvent("file_create", {"toolUseId": "toolu_2", "path": "a.py", "content": "a"}, "toolu_2")


@pytest.fixture
def session(clock, key):
    return factories.make_recorded_session(key)


def coverage(reviewer, session):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}"))["coverage"]


def at(minute, second=0):
    return f"2026-04-01T09:{minute:02}:{second:02}.000Z"


def times(first, last):
    return {"firstAt": at(first), "lastAt": at(last)}


def work(prompts, commands, changes):
    return {"prompts": prompts, "commands": commands, "changes": changes}


def record_at(clock, session, minute, channel, *events, **fields):
    start = clock.fixed
    clock.fixed += timedelta(minutes=minute)
    factories.record(session, channel, *events, **fields)
    clock.fixed = start


def test_channels_tools_and_agent_sessions_are_listed(clock, reviewer, session):
    record_at(clock, session, 0, "http-hook", PROMPT, COMMAND)
    record_at(clock, session, 1, "proxy", PROMPT, COMMAND, CREATED)
    record_at(clock, session, 2, "otlp", PROMPT, agent_session="agent-2")
    first = {"tool": "claude-code", "agentSession": "agent-1", "channels": ["http-hook", "proxy"]}
    second = {"tool": "claude-code", "agentSession": "agent-2", "channels": ["otlp"]}
    assert coverage(reviewer, session) == {
        "metricsFrom": "channels",
        "modelCalls": {"total": 0, "contentRecorded": 0},
        "channels": [
            {"channel": "http-hook", "events": 2} | work(1, 1, 0) | times(0, 0),
            {"channel": "proxy", "events": 3} | work(1, 1, 1) | times(1, 1),
            {"channel": "otlp", "events": 1} | work(1, 0, 0) | times(2, 2),
        ],
        "tools": [{"tool": "claude-code"} | work(2, 1, 1) | times(0, 2)],
        "agentSessions": [
            first | {"oneChannelOnly": False, "events": 5} | times(0, 1),
            second | {"oneChannelOnly": True, "events": 1} | times(2, 2),
        ],
        "gaps": [],
    }


def test_subagent_task_in_telemetry_does_not_count_as_a_prompt(reviewer, session):
    dispatch = RecordedEvent("task_dispatch", {"toolUseId": "call_1", "agentId": "agent-2"}, "call_1")
    factories.record(session, "otlp", PROMPT, dispatch, tool="codex")
    factories.record(session, "otlp", PROMPT, agent_session="agent-2", tool="codex")
    body = body_of(reviewer.get(f"/v1/sessions/{session.id}"))
    assert [tool["prompts"] for tool in body["coverage"]["tools"]] == [1]
    assert (body["eventCount"], body["duplicateEventCount"]) == (2, 1)


def test_subagent_is_not_listed_as_an_agent_session(reviewer, session):
    usage = {"outputTokens": 42, "usageScope": "request"}
    subagent = RecordedEvent("subagent_usage", usage, "resp_1", agent_id="agent-2")
    factories.record(session, "proxy", PROMPT, subagent, tool="codex")
    response = RecordedEvent("ai_response", usage, "2")
    factories.record(session, "otlp", PROMPT, response, agent_session="agent-2", tool="codex")
    factories.record(session, "otlp", PROMPT, agent_session="agent-3", tool="codex")
    result = coverage(reviewer, session)
    assert [row["agentSession"] for row in result["agentSessions"]] == ["agent-1", "agent-3"]
    assert [tool["prompts"] for tool in result["tools"]] == [2]


def test_duplicates_are_listed_but_not_counted(clock, reviewer, session):
    add_event(session, envelope("command", source="claude-code", data={"command": "make"}))
    record_at(clock, session, 1, "proxy", PROMPT, COMMAND)
    result = coverage(reviewer, session)
    assert [(row["channel"], row["events"]) for row in result["channels"]] == [("client", 1), ("proxy", 2)]
    (tool,) = result["tools"]
    assert work(0, 1, 0).items() <= tool.items()
    assert work(0, 1, 0).items() <= result["channels"][0].items()
    assert work(1, 1, 0).items() <= result["channels"][1].items()
    assert result["metricsFrom"] == "client"
    assert [row["agentSession"] for row in result["agentSessions"]] == ["agent-1"]


def test_channel_counts_a_long_running_command_once(reviewer, session):
    started = RecordedEvent("command", {"toolUseId": "call_1", "command": "make", "processId": 7}, "call_1")
    ended = RecordedEvent("command", {"toolUseId": "call_1", "command": "make", "exitCode": 0}, "call_2")
    for channel in ("proxy", "otlp"):
        factories.record(session, channel, started, ended, tool="codex")
    rows = coverage(reviewer, session)["channels"]
    assert [(row["events"], row["commands"]) for row in rows] == [(2, 1), (2, 1)]


def test_gap_is_more_than_ten_minutes_without_an_event(clock, reviewer, session):
    for number, minute in enumerate([0, 10, 20.5, 25, 55]):
        record_at(clock, session, minute, "proxy", RecordedEvent("tool_use", {}, str(number)))
    assert coverage(reviewer, session)["gaps"] == [
        {"startedAt": at(10), "endedAt": at(20, 30)},
        {"startedAt": at(25), "endedAt": at(55)},
    ]


def test_late_events_are_excluded(clock, reviewer, session):
    record_at(clock, session, 0, "proxy", PROMPT)
    sessions.complete(session)
    record_at(clock, session, 60, "http-hook", COMMAND, agent_session="agent-2")
    result = coverage(reviewer, session)
    assert [row["channel"] for row in result["channels"]] == ["proxy"]
    assert result["gaps"] == []


def test_empty_session_has_no_coverage(reviewer, session):
    calls = {"total": 0, "contentRecorded": 0}
    lists = {"channels": [], "tools": [], "agentSessions": [], "gaps": []}
    assert coverage(reviewer, session) == {"metricsFrom": None, "modelCalls": calls} | lists


def test_number_of_agent_sessions_is_limited(monkeypatch, session):
    monkeypatch.setattr("models.sessions.coverage.MAX_LISTED", 2)
    for number in range(3):
        factories.record(session, "http-hook", COMMAND, agent_session=f"agent-{number}")
    rows = read_coverage(session)["agent_sessions"]
    assert [row["agent_session"] for row in rows] == ["agent-0", "agent-1"]


def test_many_tools_do_not_hide_a_channel(monkeypatch, clock, session):
    monkeypatch.setattr("models.sessions.coverage.MAX_GROUPS", 5)
    for number in range(6):
        add_event(session, envelope("command", source=f"tool-{number}"))
    record_at(clock, session, 1, "proxy", PROMPT)
    rows = read_coverage(session)["channels"]
    assert [(row["channel"], row["prompts"], row["commands"]) for row in rows] == [
        ("client", 0, 6),
        ("proxy", 1, 0),
    ]


# Model calls


def record_call(session):
    call = {"request_id": "req_1", "tool": "claude-code", "agent_session": "agent-1", "first_token_ms": 80}
    make_model_call(session, "claude-opus-4-8", {"input": 3, "output": 5}, is_recorded=True, **call)


def test_model_calls_with_stored_content_are_counted(reviewer, session):
    for is_recorded, status in ((True, 200), (False, 200), (None, 200), (None, 429)):
        make_model_call(session, is_recorded=is_recorded, status_code=status)
    assert coverage(reviewer, session)["modelCalls"] == {"total": 3, "contentRecorded": 1}


def test_model_calls_are_in_the_candidates_export(clock, candidate, session):
    record_call(session)
    lines = candidate.get("/v1/candidate/me/export").text.splitlines()
    (call,) = [line["modelCall"] for line in map(json.loads, lines) if "modelCall" in line]
    expected = {"requestId": "req_1", "tool": "claude-code", "agentSession": "agent-1", "isRecorded": True}
    expected |= {"firstTokenMs": 80, "inputTokens": 3, "model": "claude-opus-4-8"}
    assert expected.items() <= call.items()
    stored = body_of(candidate.get("/v1/candidate/me"))["storedData"]
    assert [kind["count"] for kind in stored if kind["name"] == "modelCalls"] == [1]


def test_erasure_anonymizes_model_calls(clock, session):
    record_call(session)
    assert privacy.erase(session.key).counts["modelCalls"] == 1
    # A call that finishes after the erasure.
    record_call(Session.get_by_id(session.id))
    for call in ModelUsage.select():
        assert (call.request_id, call.tool, call.agent_session, call.first_token_ms) == (None,) * 4
        assert (call.input_tokens, call.is_recorded) == (3, True)
