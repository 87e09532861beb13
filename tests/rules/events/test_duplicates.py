"""Duplicates: the same call recorded by several channels (R36)."""

import hashlib

import pytest

from rules.events import duplicates
from rules.events.duplicates import ChannelEvent


def event(kind, agent_session="s1", **data):
    return {"kind": kind, "data": data | {"meta": {"ideSessionId": agent_session}}}


def prompt(text, agent_session="s1"):
    return event("prompt", agent_session, text=text)


def call(kind, tool_use_id="toolu_1", agent_session="s1"):
    return event(kind, agent_session, toolUseId=tool_use_id)


def inner(tool_use_id, command, agent_session="s1", **data):
    """Build a command that was run by a script."""
    parent = {} if tool_use_id.startswith("exec-") else {"parentToolUseId": tool_use_id.partition(":")[0]}
    return event("command", agent_session, toolUseId=tool_use_id, command=command, **parent, **data)


def response(text="", request_id=None, kind="ai_response", agent_session="s1"):
    return event(kind, agent_session, lastAssistantMessage=text, requestId=request_id)


def usage(output, tool="codex", **data):
    counts = {"inputTokens": 500, "outputTokens": output, "cacheReadTokens": 6500}
    return event("ai_response", **counts | data) | {"source": {"tool": tool}}


def codex(kind, agent_session="s1", agent_id=None, **data):
    envelope = event(kind, agent_session, **data) | {"source": {"tool": "codex"}}
    if agent_id:
        envelope["data"]["meta"]["agentId"] = agent_id
    return envelope


def command(exit_code=None, **data):
    return codex("command", toolUseId="call_1", exitCode=exit_code, **data)


def superseded(*events):
    """Return the positions of superseded events. `events` are pairs of (channel, envelope)."""
    rows = [(channel, duplicates.join_keys(envelope)) for channel, envelope in events]
    return sorted(duplicates.find_superseded(ChannelEvent(seq, *row) for seq, row in enumerate(rows)))


PROXY, HOOK, OTLP = "proxy", "http-hook", "otlp"
LS, DONE, START = inner("call_1:0", "ls"), response("Done", "req_1"), event("session_start")
FAILED, PASSED = inner("exec-1", "make", exitCode=1), inner("call_1:0", "make", exitCode=0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([(PROXY, call("command"))], []),
        # A call counts from the best channel, in any arrival order.
        ([(HOOK, call("command")), (PROXY, call("command"))], [0]),
        ([(OTLP, call("command")), (HOOK, call("command")), (PROXY, call("command"))], [0, 1]),
        ([(OTLP, call("command")), (HOOK, call("command"))], [0]),
        ([(PROXY, call("command")), (HOOK, call("command", "toolu_2"))], []),
        # Codex's telemetry names neither the request nor the text. Responses with the same usage are paired.
        ([(PROXY, usage(42, requestId="r1")), (OTLP, usage(42, cacheWriteTokens=0)), (OTLP, usage(42))], [1]),
        ([(PROXY, usage(42, requestId="r1")), (OTLP, usage(43))], []),
        ([(PROXY, usage(42, "claude-code", requestId="r1")), (OTLP, usage(42, "claude-code"))], []),
        ([(PROXY, event("ai_response")), (OTLP, event("ai_response"))], []),
        # Codex's telemetry reports a subagent in a separate session.
        (
            [
                (PROXY, codex("subagent_usage", "s1", "s2", outputTokens=42)),
                (OTLP, codex("prompt", "s2", text="Count.")),
                (OTLP, codex("session_start", "s2")),
                (OTLP, codex("ai_response", "s2", outputTokens=42)),
                (OTLP, codex("ai_response", "s2", outputTokens=43)),
                (OTLP, codex("prompt", "s1", text="Count.")),
            ],
            [1, 2, 3],
        ),
        (
            [
                (OTLP, codex("task_dispatch", "s1", agentId="s2", toolUseId="call_1")),
                (OTLP, codex("prompt", "s2", text="Count.")),
                (OTLP, codex("ai_response", "s2", outputTokens=42)),
            ],
            [1],
        ),
        # Telemetry cannot mark the user's session as a subagent.
        ([(PROXY, codex("prompt", text="Fix.")), (OTLP, codex("task_dispatch", agentId="s1"))], []),
        ([(PROXY, codex("subagent_usage", "s1", "s2")), (HOOK, codex("subagent_usage", "s1", "s2"))], []),
        # An intent and an outcome of any kind are different events.
        ([(PROXY, call("tool_intent")), (HOOK, call("command"))], []),
        ([(PROXY, call("tool_use")), (HOOK, call("command"))], [1]),
        ([(PROXY, call("command")), (OTLP, call("permission_decision"))], []),
        ([(HOOK, call("permission_decision")), (OTLP, call("permission_decision"))], [1]),
        ([(PROXY, call("tool_intent")), (HOOK, call("tool_intent", agent_session="s2"))], [1]),
        # One patch changes several files.
        ([(PROXY, call("file_diff"))] * 2 + [(HOOK, call("file_diff"))] * 2, [2, 3]),
        ([(HOOK, call("file_diff"))] * 2 + [(OTLP, call("file_diff"))], [2]),
        # A channel does not supersede its own events.
        ([(HOOK, call("command"))] * 2, []),
        # A command's exit code counts, from the best channel that has it.
        ([(PROXY, command()), (HOOK, command(0)), (OTLP, command(0))], [0, 2]),
        ([(PROXY, command(processId=7)), (PROXY, command(0)), (HOOK, command())], [0, 2]),
        ([(PROXY, command(processId=7)), (OTLP, command(processId=7))], [1]),
        ([(PROXY, command()), (HOOK, command(0) | {"source": {"tool": "claude-code"}})], [1]),
        # Calls in a script are paired, because the proxy does not receive their ids.
        ([(PROXY, LS), (OTLP, inner("exec-1", "ls"))], [1]),
        ([(PROXY, LS), (OTLP, inner("exec-1", "ls")), (OTLP, inner("exec-2", "ls"))], [1]),
        ([(PROXY, LS), (OTLP, inner("exec-1", "make"))], []),
        # The proxy has only the second run of a command that failed first.
        ([(OTLP, FAILED), (PROXY, PASSED), (OTLP, inner("exec-2", "make", exitCode=0))], [2]),
        ([(PROXY, PASSED), (HOOK, inner("exec-2", "make"))], [1]),
        ([(PROXY, LS), (OTLP, inner("exec-1", "ls", "s2"))], []),
        ([(HOOK, inner("exec-1", "ls")), (OTLP, inner("exec-1", "ls"))], [1]),
        ([(PROXY, event("command", toolUseId="call_1", command="ls")), (OTLP, inner("exec-1", "ls"))], []),
        # Prompts are paired.
        ([(PROXY, prompt("continue")), (HOOK, prompt(" continue\n"))], [1]),
        ([(PROXY, prompt("continue")), (HOOK, prompt("continue")), (HOOK, prompt("continue"))], [1]),
        ([(PROXY, prompt("continue")), (PROXY, prompt("continue")), (HOOK, prompt("continue"))], [2]),
        ([(channel, prompt("go")) for channel in (HOOK, OTLP, PROXY, HOOK, OTLP)], [0, 1, 4]),
        ([(PROXY, prompt("continue")), (HOOK, prompt("continue", "s2"))], []),
        ([(PROXY, prompt("")), (HOOK, prompt(""))], []),
        # Responses with the same request or text.
        ([(PROXY, DONE), (OTLP, response("", "req_1"))], [1]),
        ([(PROXY, DONE), (HOOK, response("Done ")), (OTLP, DONE)], [1, 2]),
        ([(HOOK, response("Done")), (OTLP, response("", "req_1"))], []),
        ([(HOOK, response("Done")), (OTLP, DONE), (OTLP, response("", "req_1"))], [1]),
        ([(PROXY, response("", "req_1", "subagent_usage")), (OTLP, response("", "req_1"))], [1]),
        ([(PROXY, response("Done")), (HOOK, response("Done", agent_session="s2"))], []),
        # An agent session's start and end.
        ([(PROXY, START), (HOOK, START), (HOOK, event("session_end"))], [1]),
        # Other events are never duplicates.
        ([(PROXY, event("context_compact")), (HOOK, event("context_compact"))], []),
        # An unknown channel.
        ([("x", call("command")), (PROXY, call("command"))], []),
    ],
)
def test_each_call_counts_once(events, expected):
    assert superseded(*events) == expected


@pytest.mark.parametrize(
    "data", [None, [], "text", {"toolUseId": 1}, {"meta": []}, {"toolUseId": ""}, {"text": 5}]
)
@pytest.mark.parametrize("kind", [None, 5, "prompt", "command", "ai_response"])
def test_malformed_fields_produce_no_keys(kind, data):
    assert duplicates.join_keys({"kind": kind, "data": data}) is None


@pytest.mark.parametrize("envelope", [None, [], {}, {"kind": "session_start", "data": {}}])
def test_malformed_envelopes_are_accepted(envelope):
    assert duplicates.join_keys(envelope) is None or duplicates.join_keys(envelope).startswith(
        "session_start:"
    )


def test_keys_are_digests():
    """Keys never change, and do not include the text."""
    digest = hashlib.sha256(b"toolu_1").hexdigest()[:24]
    assert duplicates.join_keys(call("tool_intent", "toolu_1")) == f"intent:{digest}"
    assert duplicates.join_keys(prompt("x\ud800 y")).startswith("prompt:")
    keys = duplicates.join_keys(response("Done", "req_1")).split()
    assert [key.partition(":")[0] for key in keys] == ["request", "response"]


@pytest.mark.parametrize("kind", ["tool_intent", "permission_decision", "command"])
def test_a_calls_events_share_its_key(kind):
    digest = hashlib.sha256(b"toolu_1").hexdigest()[:24]
    assert duplicates.call_key(duplicates.join_keys(call(kind, "toolu_1"))) == digest


@pytest.mark.parametrize(
    "joins", [None, duplicates.join_keys(prompt("Fix")), duplicates.join_keys(response("Done", "1"))]
)
def test_other_events_belong_to_no_call(joins):
    assert duplicates.call_key(joins) is None
