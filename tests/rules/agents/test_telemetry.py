"""Log records of Claude Code, Codex and Gemini CLI as events, and their times."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from rules.agents import telemetry
from rules.agents.log_records import LogRecord

START = datetime(2026, 4, 1, 9, tzinfo=UTC)
ARRIVAL = START + timedelta(hours=1)
CLAUDE = {"service.name": "claude-code", "service.version": "2.1.197"}
CODEX = {"service.name": "codex_exec", "service.version": "0.169.0"}
# What is dropped at the door.
PRIVATE = {
    "user.id": "5ef9c2b3a224",
    "user.email": "ada@example.com",
    "user.account_uuid": "uuid",
    "organization.id": "org",
    "host.name": "adas-laptop",
}


def claude(name, time="2026-04-01T08:00:00.000Z", sequence=0, **attributes):
    common = {"event.name": name, "event.timestamp": time, "event.sequence": sequence, "session.id": "s1"}
    return LogRecord(CLAUDE | PRIVATE, common | PRIVATE | attributes, None)


def codex(name, time="2026-04-01T08:00:00.000Z", **attributes):
    common = {"event.name": f"codex.{name}", "event.timestamp": time, "conversation.id": "c1"}
    return LogRecord(CODEX | PRIVATE, common | PRIVATE | attributes, 0)


def read(*records):
    return [event for _, events in telemetry.read(records, ARRIVAL, START) for event in events]


def kinds(*records):
    return [
        (event.kind, {key: value for key, value in event.data.items() if key != "originalTs"})
        for event in read(*records)
    ]


CALL = {"tool_name": "Bash", "tool_use_id": "toolu_1"}
PARAMETERS = json.dumps({"bash_command": "make", "full_command": "make test"})
INTENT = ("tool_intent", {"toolName": "Bash", "inputPreview": PARAMETERS, "toolUseId": "toolu_1"})
USAGE = {
    "model": "claude-opus-4-8",
    "request_id": "req_1",
    "input_tokens": "12",
    "output_tokens": 42,
    "cache_read_tokens": 6789,
    "cache_creation_tokens": 345,
    "cost_usd": 0.0068295,
    "duration_ms": 52,
}
RESPONSE = {
    "model": "claude-opus-4-8",
    "requestId": "req_1",
    "usageScope": "request",
    "inputTokens": 12,
    "outputTokens": 42,
    "cacheReadTokens": 6789,
    "cacheWriteTokens": 345,
    "totalCost": 0.0068295,
    "turnDurationMs": 52,
}
TEXT = {"response": "Fixed.", "model": "claude-opus-4-8", "request_id": "req_1"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (claude("user_prompt", prompt="Fix it"), [("prompt", {"text": "Fix it"})]),
        (claude("user_prompt", prompt="/context", command_name="context"), []),
        (claude("api_request", query_source="sdk", **USAGE), [("ai_response", RESPONSE)]),
        (
            claude("api_request", query_source="agent:builtin:Explore", **USAGE),
            [("subagent_usage", RESPONSE | {"sidechain": True})],
        ),
        (
            claude("api_request", query_source="generate_session_title", **USAGE),
            [("subagent_usage", RESPONSE | {"sidechain": True})],
        ),
        (
            claude("assistant_response", query_source="repl_main_thread", **TEXT),
            [
                (
                    "ai_response",
                    {"lastAssistantMessage": "Fixed.", "model": "claude-opus-4-8", "requestId": "req_1"},
                )
            ],
        ),
        (claude("assistant_response", query_source="generate_session_title", **TEXT), []),
        (
            claude("tool_decision", decision="accept", source="config", tool_parameters=PARAMETERS, **CALL),
            [INTENT],
        ),
        (
            claude(
                "tool_decision",
                decision="accept",
                source="user_temporary",
                tool_parameters=PARAMETERS,
                **CALL,
            ),
            [
                INTENT,
                (
                    "permission_decision",
                    {
                        "decision": "accept",
                        "source": "user_temporary",
                        "toolName": "Bash",
                        "toolUseId": "toolu_1",
                        "human": True,
                    },
                ),
            ],
        ),
        (
            claude("tool_decision", decision="reject", source="hook", tool_parameters=PARAMETERS, **CALL),
            [
                INTENT,
                (
                    "permission_decision",
                    {"decision": "reject", "source": "hook", "toolName": "Bash", "toolUseId": "toolu_1"},
                ),
            ],
        ),
        (
            claude(
                "tool_decision", decision="reject", source="user_reject", tool_parameters=PARAMETERS, **CALL
            ),
            [
                INTENT,
                (
                    "interrupt",
                    {
                        "variant": "tool_use",
                        "subtype": "action",
                        "cutTool": "Bash",
                        "cutToolInput": "make test",
                        "toolUseId": "toolu_1",
                    },
                ),
            ],
        ),
        (
            claude(
                "tool_decision",
                decision="reject",
                source="user_reject",
                tool_name="ExitPlanMode",
                tool_use_id="toolu_2",
            ),
            [
                ("tool_intent", {"toolName": "ExitPlanMode", "toolUseId": "toolu_2"}),
                ("plan_decision", {"responsePreview": "rejected", "toolUseId": "toolu_2"}),
            ],
        ),
        (
            claude("tool_result", success="true", duration_ms="1132", tool_parameters=PARAMETERS, **CALL),
            [
                (
                    "command",
                    {"command": "make test", "ok": True, "durationMs": 1132, "toolUseId": "toolu_1"},
                )
            ],
        ),
        (
            claude(
                "tool_result",
                success="false",
                error="Shell command failed",
                tool_parameters=PARAMETERS,
                **CALL,
            ),
            [("command", {"command": "make test", "ok": False, "toolUseId": "toolu_1"})],
        ),
        (
            claude("permission_mode_changed", from_mode="default", to_mode="plan", trigger="shift_tab"),
            [
                (
                    "mode_change",
                    {"fromMode": "default", "toMode": "plan", "trigger": "shift_tab", "human": True},
                )
            ],
        ),
        (
            claude("api_error", error="No budget", status_code=402, attempt=1, model="claude-opus-4-8"),
            [
                (
                    "agent_error",
                    {"error": "No budget", "statusCode": 402, "attempt": 1, "model": "claude-opus-4-8"},
                )
            ],
        ),
        (claude("hook_execution_start", hook_event="Stop"), []),
        (claude("subagent_completed", agent_type="Explore"), []),
        (claude("new_in_another_version"), []),
    ],
)
def test_each_record_of_claude_code_is_an_event(record, expected):
    assert kinds(record) == expected


def test_usage_and_text_of_a_response_are_two_events_and_the_usage_counts_once():
    usage, text = read(claude("api_request", **USAGE), claude("assistant_response", sequence=1, **TEXT))
    assert (usage.identity, usage.index) != (text.identity, text.index)
    assert usage.data["requestId"] == text.data["requestId"] == "req_1"
    assert not [name for name in text.data if "Tokens" in name or name == "totalCost"]
    assert "lastAssistantMessage" not in usage.data


def changed(tool_name, **arguments):
    record = claude(
        "tool_result", tool_name=tool_name, tool_use_id="1", success="true", tool_input=json.dumps(arguments)
    )
    ((kind, data),) = kinds(record)
    return kind, data


def test_a_changed_file_has_its_path_and_the_texts_that_are_not_shortened():
    kind, data = changed(
        "Edit", file_path="/shop/a.py", old_string="a", new_string="b" * 128 + "...[5000 chars]"
    )
    assert (kind, data["path"], data["isPartial"]) == ("file_diff", "/shop/a.py", True)
    assert "5000 chars" not in json.dumps(data)
    kind, data = changed("Write", file_path="/shop/b.py", content="x = 1\n")
    assert (kind, data["path"], data["content"]) == ("file_diff", "/shop/b.py", "x = 1\n")
    assert changed("Read", file_path="/shop/a.py") == ("file_read", {"path": "/shop/a.py", "toolUseId": "1"})


def result(output, tool_name="exec_command", **attributes):
    arguments = json.dumps({"cmd": "make test", "workdir": "/shop"})
    common = {"tool_name": tool_name, "call_id": "call_1", "duration_ms": "71", "success": "true"}
    return codex(
        "tool_result", **({"arguments": arguments, "output": output, "mcp_server": ""} | common | attributes)
    )


TOKENS = {"input_token_count": "7000", "output_token_count": "42", "cached_token_count": "6500"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (codex("user_prompt", prompt="Fix it"), [("prompt", {"text": "Fix it"})]),
        (
            codex("sse_event", **{"event.kind": "response.completed", "model": "gpt-5.5"} | TOKENS),
            [
                (
                    "ai_response",
                    {
                        "model": "gpt-5.5",
                        "usageScope": "request",
                        "inputTokens": 500,
                        "outputTokens": 42,
                        "cacheReadTokens": 6500,
                    },
                )
            ],
        ),
        (codex("sse_event", **{"event.kind": "response.completed"}), []),
        (codex("sse_event", **{"event.kind": "response.output_text.delta"}), []),
        (
            codex("conversation_starts", model="gpt-5.5", **{"app.version": "0.169.0"}),
            [("session_start", {"ideSessionId": "c1", "cliVersion": "0.169.0", "model": "gpt-5.5"})],
        ),
        (
            codex(
                "tool_decision",
                tool_name="exec_command",
                call_id="call_1",
                decision="approved",
                source="Config",
            ),
            [("tool_intent", {"toolName": "exec_command", "toolUseId": "call_1"})],
        ),
        (
            codex("tool_decision", tool_name="exec", call_id="call_9", decision="approved", source="Config"),
            [],
        ),
        (result("Script completed", tool_name="exec"), []),
        (codex("api_request", **{"http.response.status_code": "200"}), []),
        (
            codex(
                "api_request",
                attempt="1",
                **{"http.response.status_code": "402", "error.message": "No budget"},
            ),
            [("agent_error", {"error": "No budget", "statusCode": 402, "attempt": 1})],
        ),
        (codex("turn_ttft", duration_ms="80"), []),
    ],
)
def test_each_record_of_codex_is_an_event(record, expected):
    assert kinds(record) == expected


def test_a_refusal_of_the_person_is_an_interrupt():
    call = {"tool_name": "exec_command", "call_id": "call_1", "source": "User"}
    assert [kind for kind, _ in kinds(codex("tool_decision", decision="denied", **call))] == [
        "tool_intent",
        "interrupt",
    ]
    accepted = kinds(codex("tool_decision", decision="approved_for_session", **call))
    assert [kind for kind, _ in accepted] == ["tool_intent", "permission_decision"]


@pytest.mark.parametrize(("code", "stdout"), [(0, "2 passed\n"), (3, "")])
def test_a_command_of_codex_has_its_exit_code_though_the_record_calls_it_a_success(code, stdout):
    output = f"Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code {code}\nOutput:\n{stdout}"
    intent, command = kinds(result(output))
    assert intent[0] == "tool_intent"
    assert command == (
        "command",
        {"command": "make test", "exitCode": code, "stdout": stdout, "durationMs": 71, "toolUseId": "call_1"},
    )


def test_a_running_command_of_codex_has_no_exit_code():
    _, (_, data) = kinds(result("Wall time: 1.0 seconds\nProcess running with session ID 7\nOutput:\n..."))
    assert "exitCode" not in data


def test_a_patch_of_codex_is_one_event_for_each_file():
    patch = "*** Begin Patch\n*** Add File: a.py\n+a = 1\n*** Update File: b.py\n@@\n-b = 1\n+b = 2\n*** End Patch"
    output = (
        "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following files:\nA a.py\nM b.py\n"
    )
    _, created, changed = read(result(output, tool_name="apply_patch", arguments=patch))
    assert (created.kind, created.data["path"], created.data["content"]) == ("file_create", "a.py", "a = 1\n")
    assert (changed.kind, changed.data["path"], changed.data["linesAdded"]) == ("file_diff", "b.py", 1)
    assert (created.identity, created.index) != (changed.identity, changed.index)


def test_a_server_of_codex_is_an_mcp_call():
    _, (kind, data) = kinds(result("{}", tool_name="query", mcp_server="db", arguments="{}"))
    assert (kind, data["tool"]) == ("mcp_call", "query")


def gemini(name, **attributes):
    common = {
        "event.name": f"gemini_cli.{name}",
        "event.timestamp": "2026-04-01T08:00:00.000Z",
        "session.id": "g1",
    }
    return LogRecord({}, common | PRIVATE | attributes, None)


def test_records_of_gemini_cli_are_events():
    shell = {"function_name": "run_shell_command", "function_args": '{"command": "make"}', "success": True}
    assert kinds(
        gemini("user_prompt", prompt="Fix it"),
        gemini("tool_call", metadata='{"exitCode": 3, "isError": true}', **shell),
        gemini("api_response", input_token_count=10, cached_content_token_count=4, output_token_count=2),
    ) == [
        ("prompt", {"text": "Fix it"}),
        ("tool_intent", {"toolName": "run_shell_command", "inputPreview": '{"command": "make"}'}),
        ("command", {"command": "make", "exitCode": 3}),
        ("ai_response", {"usageScope": "request", "inputTokens": 6, "cacheReadTokens": 4, "outputTokens": 2}),
    ]


def test_the_newest_record_has_the_time_of_arrival_and_the_others_keep_their_distance():
    """R37: the clock of the candidate's computer is three hours fast."""
    times = ["2026-04-01T13:00:10.000Z", "2026-04-01T13:00:00.500Z", "2026-04-01T13:00:07Z"]
    events = read(*(claude("user_prompt", time, prompt=time) for time in times))
    ages = [timedelta(seconds=9.5), timedelta(seconds=3), timedelta(0)]
    assert [event.at for event in events] == [ARRIVAL - age for age in ages]
    assert [event.data["originalTs"] for event in events] == [
        "2026-04-01T13:00:00.500Z",
        "2026-04-01T13:00:07.000Z",
        "2026-04-01T13:00:10.000Z",
    ]


def test_records_that_are_no_event_count_for_the_newest():
    (event,) = read(
        claude("user_prompt", "2026-04-01T08:00:00Z", prompt="Fix it"),
        claude("hook_execution_start", "2026-04-01T08:00:04Z"),
    )
    assert event.at == ARRIVAL - timedelta(seconds=4)


def test_no_event_is_before_the_session():
    old, new = read(
        claude("user_prompt", "1999-01-01T00:00:00Z", prompt="Old"),
        claude("user_prompt", "2026-04-01T08:00:00Z", prompt="New"),
    )
    assert (old.at, new.at) == (START, ARRIVAL)


def test_records_of_one_millisecond_are_in_the_order_of_their_number():
    texts = ["First", "Second", "Third"]
    records = [claude("user_prompt", sequence=number, prompt=text) for number, text in enumerate(texts)]
    assert [event.data["text"] for event in read(*reversed(records))] == texts


def test_a_resumed_session_counts_from_0_again_and_its_events_are_new():
    """Seen: --resume keeps the session's id."""
    one, other = read(
        claude("user_prompt", "2026-04-01T08:00:00Z", 0, prompt="Go on"),
        claude("user_prompt", "2026-04-01T08:30:00Z", 0, prompt="Go on"),
    )
    assert one.identity != other.identity


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "9999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"])
def test_without_a_time_of_its_own_a_record_has_the_time_of_its_envelope(time):
    record = claude("user_prompt", time, prompt="Fix it")._replace(time_ns=1_775_030_400_000_000_000)
    (event,) = read(record)
    assert event.data["originalTs"] == "2026-04-01T08:00:00.000Z"
    (event,) = read(record._replace(time_ns=None))
    assert (event.at, "originalTs" in event.data) == (ARRIVAL, False)


def test_agent_sessions_are_distinguished_and_name_tool_and_version():
    records = [claude("user_prompt", prompt="A"), codex("user_prompt", prompt="B")]
    duplicates = [duplicate for duplicate, _ in telemetry.read(records, ARRIVAL, START)]
    assert [tuple(duplicate) for duplicate in duplicates] == [
        ("otlp", "claude-code", "2.1.197", "s1"),
        ("otlp", "codex", "0.169.0", "c1"),
    ]


def test_nothing_private_is_in_an_event():
    found = telemetry.read(
        [
            claude("user_prompt", prompt="A"),
            claude("api_request", **USAGE),
            codex("conversation_starts"),
            result("x"),
        ],
        ARRIVAL,
        START,
    )
    assert not [value for value in PRIVATE.values() if value in repr(found)]


NAMES = [tool.prefix + name for tool in telemetry.TOOLS for name in tool.readers]
VALUES = [None, True, 0, -1, 2**63 - 1, 1.5, "", "x", "\ud800\x00", "{}", "[]", "{" * 5000, '{"a": [1e999]}']


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_of_any_attribute_is_an_error(value):
    attributes = {
        *(
            "prompt",
            "command_name",
            "query_source",
            "model",
            "request_id",
            "input_tokens",
            "cost_usd",
            "response",
        ),
        *(
            "error",
            "tool_use_id",
            "tool_name",
            "decision",
            "source",
            "tool_parameters",
            "tool_input",
            "success",
        ),
        *(
            "duration_ms",
            "call_id",
            "arguments",
            "output",
            "mcp_server",
            "event.kind",
            "input_token_count",
            "metadata",
        ),
        *("cached_token_count", "function_name", "function_args", "event.timestamp", "event.sequence"),
    }
    valid = dict.fromkeys(attributes, "1") | {"session.id": "1", "conversation.id": "1"}
    for name in NAMES:
        for tool_name in ("Bash", "Edit", "exec_command", "apply_patch"):
            named = {"event.name": name, "tool_name": tool_name, "event.kind": "response.completed"}
            for attribute in attributes:
                read(LogRecord({}, valid | named | {attribute: value}, None))
        read(
            LogRecord(
                {"service.version": value},
                dict.fromkeys([*attributes, "session.id"], value) | {"event.name": name},
                1,
            )
        )
    read(LogRecord({}, {"event.name": value}, -1))
