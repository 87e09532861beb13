"""Limits on what is read and stored of a call, and the work before its transaction."""

import json

import pytest
from factories import make_recorded_session

from models import Event, db, sessions
from proxy import recording
from rules.agents.model_apis import anthropic_messages
from tests.proxy.upstream import MESSAGES
from tests.rules.agents import messages

CLAUDE_CODE = {"User-Agent": "claude-cli/2.1.197 (external, cli)", "X-Claude-Code-Session-Id": "agent-1"}
KEY = "PST-ABCD-EFGH"


@pytest.fixture
def session(key):
    return make_recorded_session(key)


@pytest.fixture(autouse=True)
def dialects(app, monkeypatch):
    monkeypatch.setitem(app.extensions, "dialects", {"messages": anthropic_messages})


def conversation(*commands):
    """A request whose history has these commands and their results."""
    calls = [
        messages.call(f"toolu_{number}", "Bash", command=command) for number, command in enumerate(commands)
    ]
    results = [messages.result(each["id"], "ok") for each in calls]
    history = [messages.user("Go"), messages.assistant(*calls), messages.user(*results)]
    fields = {"model": "claude-haiku-4-5", "max_tokens": 900, "tools": messages.TOOLS}
    return json.dumps(fields | {"messages": history})


def test_only_a_calls_latest_events_are_stored_and_a_finding_reports_it(
    call, session, usage, reviewer, monkeypatch
):
    monkeypatch.setattr(recording, "MAX_EVENTS", 3)
    call(MESSAGES, data=conversation("a", "b", "c", "d"), headers=CLAUDE_CODE)
    stored = [row.kind for row in Event.select().where(Event.session == session).order_by(Event.seq)]
    assert stored == ["command", "command", "command", "ai_response"]
    assert usage()[0].is_recorded is False
    findings = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
    assert {finding["code"]: finding["count"] for finding in findings}["call_not_recorded"] == 1


def test_calls_that_take_too_long_to_read_become_generic_events(call, session, usage, monkeypatch):
    monkeypatch.setattr(recording, "MAX_READING_SECONDS", -1)
    call(MESSAGES, data=conversation("a"), headers=CLAUDE_CODE)
    assert Event.select().where(Event.session == session, Event.kind == "tool_use").exists()
    assert usage()[0].is_recorded is False


def test_texts_that_take_too_long_to_find_are_recorded_with_the_next_call(call, session, usage, monkeypatch):
    with monkeypatch.context() as slow:
        slow.setattr(recording, "MAX_READING_SECONDS", -1)
        for count in (1, 2):
            call(MESSAGES, data=conversation("a"), headers=CLAUDE_CODE)
            contexts = Event.select().where(Event.session == session, Event.kind == "context")
            assert (contexts.count(), usage()[-1].is_recorded) == (count, False)
    call(MESSAGES, data=conversation("a"), headers=CLAUDE_CODE)
    assert contexts.count() > 2
    assert usage()[-1].is_recorded is True


def test_events_are_read_and_masked_before_the_transaction(call, session, usage, monkeypatch):
    depths = []
    prepare = sessions.prepare

    def spy(*arguments):
        depths.append(db.transaction_depth())
        return prepare(*arguments)

    test_depth = db.transaction_depth()
    monkeypatch.setattr(sessions, "prepare", spy)
    call(MESSAGES, data=conversation("a"), headers=CLAUDE_CODE)
    assert depths == [test_depth, test_depth]  # request and response
    assert usage()[0].is_recorded is True


def test_an_agent_session_id_is_masked_in_the_usage(call, usage):
    call(MESSAGES, data=conversation("a"), headers=CLAUDE_CODE | {"X-Claude-Code-Session-Id": KEY})
    assert usage()[0].agent_session == "[masked]"


def test_a_forked_agent_sessions_history_is_recorded_once(call, session):
    forked = CLAUDE_CODE | {"X-Claude-Code-Session-Id": "agent-2"}
    call(MESSAGES, data=conversation("a", "b"), headers=CLAUDE_CODE)
    before = Event.select().where(Event.session == session).count()
    assert {"command", "context"} < {row.kind for row in Event.select().where(Event.session == session)}
    call(MESSAGES, data=conversation("a", "b"), headers=forked)
    new = Event.select().where(Event.session == session).order_by(Event.seq).offset(before)
    assert [(row.kind, row.agent_session) for row in new] == [("ai_response", "agent-2")]


def test_agent_sessions_with_the_same_prompt_are_not_forks(call, session):
    fields = {"model": "claude-haiku-4-5", "max_tokens": 900, "tools": messages.TOOLS}
    for agent_session in ("agent-1", "agent-2"):
        headers = CLAUDE_CODE | {"X-Claude-Code-Session-Id": agent_session}
        call(MESSAGES, data=json.dumps(fields | {"messages": [messages.user("Go")]}), headers=headers)
    assert Event.select().where(Event.session == session, Event.kind == "prompt").count() == 2
