"""Differences between channels, as findings of a session's integrity (docs/integrity.md#channels)."""

from datetime import timedelta

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


def id_of(channel, kind):
    """The id of the latest event of this kind and channel."""
    events = Event.select().where(Event.channel == channel, Event.kind == kind)
    return events.order_by(Event.seq.desc()).first().event_id


def test_channels_that_agree_give_no_findings(reviewer, session):
    record(session, "proxy", prompt(), response(), intent(), command())
    record(session, "http-hook", prompt(), intent(), command())
    record(session, "otlp", response(), command(exit_code=None))
    assert findings(reviewer, session) == {}


def test_an_agent_session_without_hooks_after_hooks(clock, reviewer, session):
    record(session, "proxy", prompt("Before any hook"), agent_session="agent-0")
    record(session, "http-hook", prompt())
    clock.fixed += timedelta(minutes=1)
    record(session, "proxy", prompt(), agent_session="agent-1")
    assert findings(reviewer, session) == {}
    record(session, "proxy", response(), prompt("Again"), agent_session="agent-2")
    (found,) = findings(reviewer, session).items()
    assert found == ("hooks_missing", (1, [id_of("proxy", "ai_response")]))


def test_an_agent_without_hooks_after_hooks_of_another_one(clock, reviewer, session):
    record(session, "http-hook", prompt())
    clock.fixed += timedelta(minutes=1)
    record(session, "proxy", prompt(), agent_session="agent-1")
    record(session, "proxy", prompt(), agent_session="agent-2", tool="codex")
    assert findings(reviewer, session) == {}


@pytest.mark.parametrize("channel", ["http-hook", "otlp"])
def test_a_call_that_the_proxy_never_carried(reviewer, session, channel):
    record(session, "proxy", intent(), command())
    record(session, channel, intent("toolu_2"), command(call="toolu_2"), command())
    assert findings(reviewer, session) == {"call_not_proxied": (1, [id_of(channel, "tool_intent")])}


def test_a_response_of_a_call_whose_recording_failed_was_carried(reviewer, session):
    record(session, "otlp", response(request="req_7"), response(request="req_8"))
    make_model_call(session, "claude-sonnet-5", {"output": 42}, request_id="req_7")
    assert findings(reviewer, session) == {"call_not_proxied": (1, [id_of("otlp", "ai_response")])}


def test_a_call_that_was_only_in_the_history(reviewer, session):
    record(session, "proxy", intent("toolu_0"))
    restored = RecordedEvent("tool_intent", {"toolUseId": "toolu_1", "fromHistory": True}, "toolu_1")
    record(session, "proxy", restored, command())
    assert findings(reviewer, session) == {"call_from_history": (1, [id_of("proxy", "tool_intent")])}


def test_calls_in_a_script_of_codex_are_not_in_the_proxys_requests(reviewer, session):
    record(session, "otlp", command(call="exec-1"))
    assert findings(reviewer, session)["call_not_proxied"][0] == 1
    record(session, "proxy", intent("call_9", "exec"))
    assert findings(reviewer, session) == {}


@pytest.mark.parametrize("other", [command(exit_code=0), command(command="make lint")])
def test_different_results_of_one_call(reviewer, session, other):
    record(session, "proxy", intent(), command())
    record(session, "http-hook", other)
    assert findings(reviewer, session) == {"result_differs": (1, [id_of("http-hook", "command")])}


def test_different_white_space_and_an_unknown_exit_code_are_no_difference(reviewer, session):
    record(session, "proxy", intent(), command(command="make  test\n"))
    record(session, "otlp", command(exit_code=None))
    assert findings(reviewer, session) == {}


def test_other_usage_than_the_providers(reviewer, session):
    record(session, "proxy", response(output=42))
    record(session, "otlp", response(output=41))
    assert findings(reviewer, session) == {"usage_differs": (1, [id_of("otlp", "ai_response")])}


def test_a_prompt_that_the_client_did_not_report(reviewer, session):
    record(session, "proxy", prompt("Fix  the queue"), prompt("Delete the tests"))
    add_event(session, envelope(kind="prompt", data={"text": "Fix the queue\n"}))
    assert findings(reviewer, session) == {"prompt_not_reported": (1, [id_of("proxy", "prompt")])}


def test_a_client_that_reports_no_prompt_at_all(reviewer, session):
    """One event of a client is enough for its record to count instead of the channels'."""
    record(session, "proxy", prompt("Fix the queue"))
    assert findings(reviewer, session) == {}
    add_event(session, envelope(kind="session_start"))
    assert findings(reviewer, session) == {"prompt_not_reported": (1, [id_of("proxy", "prompt")])}


def test_malformed_fields_are_compared_as_missing(reviewer, session):
    odd = {"toolUseId": ["x"], "exitCode": "1", "command": {}, "requestId": 7, "text": None, "meta": []}
    for channel in ("proxy", "http-hook", "otlp"):
        record(
            session,
            channel,
            *(RecordedEvent(kind, odd, kind) for kind in ("command", "ai_response", "prompt")),
        )
    assert findings(reviewer, session) == {}
