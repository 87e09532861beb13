"""Channel comparison: differences between channels are integrity findings (docs/integrity.md#findings)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from factories import add_event, envelope, make_key, make_model_call, make_recorded_session, record
from response_checks import body_of

from models import Event
from rules.events.recorded_events import RecordedEvent


@pytest.fixture
def session(clock, assessment):
    return make_recorded_session(make_key(assessment))


def prompt(text="Fix the queue"):
    return RecordedEvent("prompt", {"text": text}, text)


def command(exit_code=1, command="make test", call="toolu_1"):
    return RecordedEvent("command", {"toolUseId": call, "command": command, "exitCode": exit_code}, call)


def intent(call="toolu_1", tool="Bash"):
    return RecordedEvent("tool_intent", {"toolUseId": call, "toolName": tool}, call)


def response(output=42, request="req_1"):
    return RecordedEvent("ai_response", {"requestId": request, "outputTokens": output}, request)


def findings(reviewer, session):
    body = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))
    return {finding["code"]: (finding["count"], finding["eventIds"]) for finding in body["findings"]}


def latest_id(channel, kind):
    events = Event.select().where(Event.channel == channel, Event.kind == kind)
    return events.order_by(Event.seq.desc()).first().event_id


def test_matching_channels_have_no_findings(reviewer, session):
    record(session, "proxy", prompt(), response(), intent(), command())
    record(session, "http-hook", prompt(), intent(), command())
    record(session, "otlp", response(), command(exit_code=None))
    assert findings(reviewer, session) == {}


def test_missing_hooks_are_a_finding_after_earlier_hooks(clock, reviewer, session):
    record(session, "proxy", prompt("Before any hook"), agent_session="agent-0")
    record(session, "http-hook", prompt())
    clock.fixed += timedelta(minutes=1)
    record(session, "proxy", prompt(), agent_session="agent-1")
    assert findings(reviewer, session) == {}
    record(session, "proxy", response(), prompt("Again"), agent_session="agent-2")
    assert findings(reviewer, session) == {"hooks_missing": (1, [latest_id("proxy", "ai_response")])}


def test_hooks_are_expected_separately_for_each_agent(clock, reviewer, session):
    record(session, "http-hook", prompt())
    clock.fixed += timedelta(minutes=1)
    record(session, "proxy", prompt(), agent_session="agent-1")
    record(session, "proxy", prompt(), agent_session="agent-2", tool="codex")
    assert findings(reviewer, session) == {}


@pytest.mark.parametrize("channel", ["http-hook", "otlp"])
def test_call_missing_from_the_proxy_is_a_finding(reviewer, session, channel):
    record(session, "proxy", intent(), command())
    record(session, channel, intent("toolu_2"), command(call="toolu_2"), command())
    assert findings(reviewer, session) == {"call_not_proxied": (1, [latest_id(channel, "tool_intent")])}


def test_proxied_response_counts_even_if_recording_it_failed(reviewer, session):
    record(session, "otlp", response(request="req_7"), response(request="req_8"))
    make_model_call(session, "claude-sonnet-5", {"output": 42}, request_id="req_7")
    assert findings(reviewer, session) == {"call_not_proxied": (1, [latest_id("otlp", "ai_response")])}


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"type": "text", "text": "Sure."}, 1),
        ({"type": "text", "text": "I found\nthe"}, 0),
        ({"type": "tool_use", "text": "{}", "callId": "toolu_9"}, 1),
        ({"type": "tool_use", "text": "{}", "callId": "toolu_0"}, 0),
        ({"type": "arguments", "text": "{}", "callId": "toolu_0"}, 0),
        ({"type": "thinking", "text": "Hm"}, 0),
    ],
)
def test_a_message_that_no_recorded_response_contains_is_a_finding(reviewer, session, fields, count):
    answer = RecordedEvent("ai_response", {"lastAssistantMessage": "I found the cause."}, "msg_1")
    history = {"role": "assistant", "fromHistory": True}
    thought = RecordedEvent("context", history | {"type": "thinking", "text": "Sure. I do."}, "thought")
    context = RecordedEvent("context", history | fields, "key")
    record(session, "proxy", thought, context, answer, intent("toolu_0"))
    expected = {"history_rewritten": (1, [latest_id("proxy", "context")])} if count else {}
    assert findings(reviewer, session) == expected


def test_calls_in_codex_scripts_are_not_expected_in_the_proxy(reviewer, session):
    record(session, "otlp", command(call="exec-1"))
    assert findings(reviewer, session)["call_not_proxied"][0] == 1
    record(session, "proxy", intent("call_9", "exec"))
    assert findings(reviewer, session) == {}


@pytest.mark.parametrize("other", [command(exit_code=0), command(command="make lint")])
def test_different_results_of_a_call_are_a_finding(reviewer, session, other):
    record(session, "proxy", intent(), command())
    record(session, "http-hook", other)
    assert findings(reviewer, session) == {"result_differs": (1, [latest_id("http-hook", "command")])}


def test_results_that_differ_between_agent_sessions_are_a_finding(reviewer, session):
    record(session, "proxy", intent(), command(exit_code=None))
    record(session, "http-hook", command(exit_code=1))
    record(session, "http-hook", command(exit_code=0), agent_session="invented")
    assert findings(reviewer, session) == {"result_differs": (1, [latest_id("http-hook", "command")])}


def test_a_search_without_matches_is_no_finding(reviewer, session):
    record(session, "proxy", intent(), command(exit_code=0))
    found_nothing = command(exit_code=1)
    found_nothing.data["interpretation"] = "No matches found"
    record(session, "http-hook", found_nothing)
    assert findings(reviewer, session) == {}


def test_exit_code_is_compared_although_the_proxy_also_saw_the_command_running(reviewer, session):
    record(session, "proxy", intent(), replace(command(exit_code=None), index=1), command(exit_code=3))
    record(session, "otlp", command(exit_code=0))
    assert findings(reviewer, session) == {"result_differs": (1, [latest_id("otlp", "command")])}


def test_whitespace_and_unknown_exit_codes_are_ignored(reviewer, session):
    record(session, "proxy", intent(), command(command="make  test\n"))
    record(session, "otlp", command(exit_code=None))
    assert findings(reviewer, session) == {}


def test_usage_that_differs_from_the_providers_is_a_finding(reviewer, session):
    record(session, "proxy", response(output=42))
    record(session, "otlp", response(output=41))
    assert findings(reviewer, session) == {"usage_differs": (1, [latest_id("otlp", "ai_response")])}


def test_prompt_missing_from_the_client_is_a_finding(reviewer, session):
    record(session, "proxy", prompt("Fix  the queue"), prompt("Delete the tests"))
    add_event(session, envelope(kind="prompt", data={"text": "Fix the queue\n"}))
    assert findings(reviewer, session)["prompt_not_reported"] == (1, [latest_id("proxy", "prompt")])


def test_client_without_any_prompts_is_a_finding(reviewer, session):
    record(session, "proxy", prompt("Fix the queue"))
    assert findings(reviewer, session) == {}
    add_event(session, envelope(kind="session_start"))
    assert findings(reviewer, session)["prompt_not_reported"] == (1, [latest_id("proxy", "prompt")])


def test_unsigned_events_that_replace_a_recording_are_a_finding(reviewer, session, clock):
    """The metrics count only the client's events. Anyone with the candidate key can send them."""
    record(session, "proxy", prompt(), command(exit_code=1))
    assert findings(reviewer, session) == {}
    at = (clock.fixed - datetime(2026, 4, 1, 9, tzinfo=UTC)).total_seconds()
    for kind, source, data in (
        ("prompt", "terminal", {"text": "Fix the queue"}),
        ("command", {"channel": "ide-extension"}, {"command": "make test", "exitCode": 0}),
    ):
        add_event(session, envelope(kind=kind, at=at, data=data, source=source))
    counts = {code: count for code, (count, _) in findings(reviewer, session).items()}
    assert counts == {"unsigned_event": 2}


def test_malformed_fields_are_ignored(reviewer, session):
    malformed = {"toolUseId": ["x"], "exitCode": "1", "command": {}, "requestId": 7, "text": None, "meta": []}
    events = [RecordedEvent(kind, malformed, kind) for kind in ("command", "ai_response", "prompt")]
    for channel in ("proxy", "http-hook", "otlp"):
        record(session, channel, *events)
    assert findings(reviewer, session) == {}
