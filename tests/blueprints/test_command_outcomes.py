"""A command counts once, with its exit code, in every combination of channels (R36)."""

from itertools import combinations

import factories
import pytest
from response_checks import body_of, export_events

from models import sessions
from rules.events.recorded_events import CHANNELS, RecordedEvent
from tests.rules.agents.responses_items import SESSION, call, command_result, request, running_result, user

COMBINATIONS = [group for size in (1, 2, 3) for group in combinations(CHANNELS, size)]
# As Codex 0.169.0 runs them: two calls wait for the first command, and the last command is never awaited.
TESTS, SERVER = "make test; exit 3", "make run"
CALLS = [
    (call("c1", "exec_command", cmd=TESTS), running_result("c1", 99627, "one\n")),
    (call("c2", "write_stdin", session_id=99627, chars=""), running_result("c2", 99627)),
    (call("c3", "write_stdin", session_id=99627, chars=""), command_result("c3", "two\n", 3)),
    (call("c4", "exec_command", cmd="ls"), command_result("c4", "a.py\n")),
    (call("c5", "exec_command", cmd=SERVER), running_result("c5", 75965)),
]


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


def record_proxy(candidate, session):
    """Record the latest call and its result of each request, which repeats the conversation."""
    for count in range(1, len(CALLS) + 1):
        items = [item for pair in CALLS[:count] for item in pair]
        events = request(user("Test."), *items).latest_events()
        factories.record(session, "proxy", *events, agent_session=SESSION, tool="codex")


def record_hooks(candidate, session):
    for tool_use_id, command, output in (
        ("c1", TESTS, "two\n"),
        ("c4", "ls", "a.py\n"),
        ("c5", SERVER, None),
    ):
        hook = {"session_id": SESSION, "tool_name": "Bash", "tool_use_id": tool_use_id}
        hook |= {"tool_input": {"command": command}}
        post(candidate, "hooks/codex", hook | {"hook_event_name": "PreToolUse"})
        if output:
            post(candidate, "hooks/codex", hook | {"hook_event_name": "PostToolUse", "tool_response": output})


def record_telemetry(candidate, session):
    for called, result in CALLS:
        attributes = {
            "event.name": "codex.tool_result", "conversation.id": SESSION, "call_id": called["call_id"],
            "tool_name": called["name"], "arguments": called["arguments"], "output": result["output"],
            "success": "true", "duration_ms": "435", "mcp_server": "",
        }  # fmt: skip
        record = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": record}]}]}]}
        post(candidate, "otlp/v1/logs", logs)


def post(candidate, path, body):
    assert candidate.post(f"/v1/{path}", body).json == {}


RECORD = {"proxy": record_proxy, "http-hook": record_hooks, "otlp": record_telemetry}


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("channels", COMBINATIONS, ids="+".join)
def test_codex_command_counts_once_with_its_exit_code(candidate, reviewer, session, channels, is_reversed):
    for channel in reversed(channels) if is_reversed else channels:
        RECORD[channel](candidate, session)
    artifacts = body_of(reviewer.get(f"/v1/sessions/{session.id}/artifacts"))
    has_exit_codes = channels != ("http-hook",)
    codes = {TESTS: 3, "ls": 0, SERVER: None} if has_exit_codes else {TESTS: None, "ls": None}
    commands = [(command["command"], command["exitCode"]) for command in artifacts["commands"]]
    assert sorted(commands) == sorted(codes.items())
    sessions.complete(session)
    metrics = body_of(reviewer.get(f"/v1/sessions/{session.id}"))["metrics"]
    assert metrics["commandCount"] == len(codes)
    assert metrics["testsPassed"] is (False if has_exit_codes else None)
    name = "exec_command" if channels[0] != "http-hook" else "Bash"
    assert metrics["toolUsage"] == {name: 3}
    if channels[0] == "proxy":
        assert body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"] == []


def record_opencode_proxy(candidate, session):
    for tool_use_id, (command, _) in enumerate(OPENCODE_COMMANDS):
        data = {"command": command, "stdout": "", "toolUseId": str(tool_use_id)}
        event = RecordedEvent("command", data, str(tool_use_id))
        factories.record(session, "proxy", event, agent_session="ses_1", tool="opencode")


def record_opencode_plugin(candidate, session):
    post(candidate, "hooks/opencode", {"hook_event_name": "SessionStart", "session_id": "ses_1"})
    for tool_use_id, (command, exit_code) in enumerate(OPENCODE_COMMANDS):
        hook = {"session_id": "ses_1", "tool_name": "bash", "tool_use_id": str(tool_use_id)}
        hook |= {"hook_event_name": "PostToolUse", "tool_input": {"command": command}}
        post(candidate, "hooks/opencode", hook | {"tool_response": "(no output)", "exit_code": exit_code})


OPENCODE_COMMANDS = [("make test", 2), ("sleep 600", None), ("ls", 0)]
OPENCODE = {"proxy": record_opencode_proxy, "http-hook": record_opencode_plugin}


@pytest.mark.parametrize(
    "channels", [["proxy"], ["http-hook"], ["proxy", "http-hook"], ["http-hook", "proxy"]]
)
def test_opencode_command_counts_once_with_its_exit_code(candidate, reviewer, session, channels):
    for channel in channels:
        OPENCODE[channel](candidate, session)
    has_plugin = "http-hook" in channels
    artifacts = body_of(reviewer.get(f"/v1/sessions/{session.id}/artifacts"))
    commands = [(command["command"], command["exitCode"]) for command in artifacts["commands"]]
    expected = [(command, code if has_plugin else None) for command, code in OPENCODE_COMMANDS]
    assert sorted(commands) == sorted(expected)
    sessions.complete(session)
    metrics = body_of(reviewer.get(f"/v1/sessions/{session.id}"))["metrics"]
    assert metrics["commandCount"] == 3
    assert (metrics["commandFailRate"], metrics["testsPassed"]) == (
        (0.5, False) if has_plugin else (None, None)
    )


def test_telemetry_joins_the_output_of_a_long_command(candidate, reviewer, session):
    record_telemetry(candidate, session)
    (ended,) = [
        event["data"] for event in export_events(reviewer, session) if event["data"].get("exitCode") == 3
    ]
    assert {name: ended[name] for name in ("command", "stdout", "toolUseId")} == {
        "command": TESTS,
        "stdout": "one\ntwo\n",
        "toolUseId": "c1",
    }
    assert "durationMs" not in ended
