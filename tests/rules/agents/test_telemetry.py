"""Agents' log records are converted to events with corrected times."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from rules.agents import telemetry
from rules.agents.log_records import LogRecord
from tests.rules.agents.test_codex import TITLE_REQUEST

START = datetime(2026, 4, 1, 9, tzinfo=UTC)
RECEIVED_AT = START + timedelta(hours=1)
CLAUDE = {"service.name": "claude-code", "service.version": "2.1.197"}
CODEX = {"service.name": "codex_exec", "service.version": "0.169.0"}
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
    return [event for _, events in telemetry.read(records, RECEIVED_AT, START) for event in events]


def kinds_and_data(*records):
    return [
        (event.kind, {key: value for key, value in event.data.items() if key != "originalTs"})
        for event in read(*records)
    ]


TOKENS = {
    "input_tokens": "12",
    "output_tokens": 42,
    "cache_read_tokens": 6789,
    "cache_creation_tokens": 345,
    "cost_usd": 0.0068295,
    "duration_ms": 52,
}
RESPONSE = {"model": "claude-opus-4-8", "request_id": "req_1"}
TEXT = RESPONSE | {"response": "Fixed."}
USAGE = {
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


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (claude("user_prompt", prompt="Fix it"), ("prompt", {"text": "Fix it"})),
        (claude("api_request", query_source="sdk", **RESPONSE, **TOKENS), ("ai_response", USAGE)),
        (
            claude("api_request", query_source="agent:builtin:Explore", **RESPONSE, **TOKENS),
            ("subagent_usage", USAGE | {"sidechain": True}),
        ),
        (
            claude("assistant_response", query_source="repl_main_thread", **TEXT),
            (
                "ai_response",
                {"lastAssistantMessage": "Fixed.", "model": "claude-opus-4-8", "requestId": "req_1"},
            ),
        ),
        (
            claude("assistant_response", query_source="repl_main_thread:outputStyle:Explanatory", **TEXT),
            (
                "ai_response",
                {"lastAssistantMessage": "Fixed.", "model": "claude-opus-4-8", "requestId": "req_1"},
            ),
        ),
        (
            claude("permission_mode_changed", from_mode="default", to_mode="plan", trigger="shift_tab"),
            ("mode_change", {"fromMode": "default", "toMode": "plan", "trigger": "shift_tab", "human": True}),
        ),
        (
            claude("api_error", error="No budget", status_code=402, attempt=1),
            ("agent_error", {"error": "No budget", "statusCode": 402, "attempt": 1}),
        ),
    ],
)
def test_a_claude_code_record_is_an_event(record, expected):
    assert kinds_and_data(record) == [expected]


@pytest.mark.parametrize(
    "record",
    [
        claude("user_prompt", prompt="/context", command_name="context"),
        claude("assistant_response", query_source="generate_session_title", **TEXT),
        claude("hook_execution_start", hook_event="Stop"),
        claude("new_in_a_later_version"),
    ],
)
def test_other_claude_code_records_are_ignored(record):
    assert kinds_and_data(record) == []


CALL = {"tool_name": "Bash", "tool_use_id": "toolu_1"}
PARAMETERS = json.dumps({"bash_command": "make", "full_command": "make test"})
INTERRUPT = {"variant": "tool_use", "subtype": "action", "cutTool": "Bash", "cutToolInput": "make test"}


@pytest.mark.parametrize(
    ("decision", "source", "expected"),
    [
        ("accept", "config", []),
        ("accept", "user_temporary", [("permission_decision", {"toolName": "Bash", "human": True})]),
        ("reject", "hook", [("permission_decision", {"toolName": "Bash"})]),
        ("reject", "user_reject", [("interrupt", INTERRUPT)]),
    ],
)
def test_a_claude_code_tool_decision_also_produces_a_tool_intent(decision, source, expected):
    fields = {"decision": decision, "source": source}
    intent, *decisions = kinds_and_data(claude("tool_decision", tool_parameters=PARAMETERS, **fields, **CALL))
    assert intent == (
        "tool_intent",
        {"toolName": "Bash", "inputPreview": PARAMETERS, "toolUseId": "toolu_1"},
    )
    for kind, data in expected:
        data |= {"toolUseId": "toolu_1"} | (fields if kind == "permission_decision" else {})
    assert decisions == expected


def test_a_rejected_plan_is_a_plan_decision():
    fields = {
        "decision": "reject",
        "source": "user_reject",
        "tool_name": "ExitPlanMode",
        "tool_use_id": "toolu_2",
    }
    _, decision = kinds_and_data(claude("tool_decision", **fields))
    assert decision == ("plan_decision", {"responsePreview": "rejected", "toolUseId": "toolu_2"})


@pytest.mark.parametrize("shell", ["Bash", "PowerShell"])
@pytest.mark.parametrize("is_success", [True, False])
def test_claude_code_commands_do_not_include_an_exit_code(is_success, shell):
    fields = {"success": str(is_success).lower(), "duration_ms": "1132", "tool_parameters": PARAMETERS}
    data = {"command": "make test", "ok": is_success, "durationMs": 1132, "toolUseId": "toolu_1"}
    assert kinds_and_data(claude("tool_result", **fields, **CALL | {"tool_name": shell})) == [
        ("command", data)
    ]


def test_a_responses_usage_and_text_are_separate_events():
    usage, text = read(
        claude("api_request", **RESPONSE, **TOKENS), claude("assistant_response", sequence=1, **TEXT)
    )
    assert (usage.identity, usage.index) != (text.identity, text.index)


def change_event(tool_name, **arguments):
    fields = {"tool_use_id": "1", "success": "true", "tool_input": json.dumps(arguments)}
    (event,) = kinds_and_data(claude("tool_result", tool_name=tool_name, **fields))
    return event


def test_changes_include_the_path_and_only_complete_strings():
    truncated = "b" * 128 + "...[5000 chars]"
    kind, data = change_event("Edit", file_path="/shop/a.py", old_string="a", new_string=truncated)
    assert (kind, data["path"], data["isPartial"]) == ("file_diff", "/shop/a.py", True)
    assert "5000 chars" not in json.dumps(data)
    kind, data = change_event("Write", file_path="/shop/b.py", content="x = 1\n")
    assert (kind, data["path"], data["content"]) == ("file_diff", "/shop/b.py", "x = 1\n")
    assert change_event("Read", file_path="/shop/a.py") == (
        "file_read",
        {"path": "/shop/a.py", "toolUseId": "1"},
    )


def result(output, tool_name="exec_command", **attributes):
    arguments = json.dumps({"cmd": "make test", "workdir": "/shop"})
    common = {"tool_name": tool_name, "call_id": "call_1", "duration_ms": "71", "success": "true"}
    return codex(
        "tool_result", **({"arguments": arguments, "output": output, "mcp_server": ""} | common | attributes)
    )


CODEX_TOKENS = {"input_token_count": "7000", "output_token_count": "42", "cached_token_count": "6500"}
CODEX_USAGE = {"usageScope": "request", "inputTokens": 500, "outputTokens": 42, "cacheReadTokens": 6500}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (codex("user_prompt", prompt="Fix it"), [("prompt", {"text": "Fix it"})]),
        # The terminal's call for a title.
        (codex("user_prompt", prompt=TITLE_REQUEST), []),
        (
            codex("sse_event", **{"event.kind": "response.completed", "model": "gpt-5.5"}, **CODEX_TOKENS),
            [("ai_response", {"model": "gpt-5.5"} | CODEX_USAGE)],
        ),
        (codex("sse_event", **{"event.kind": "response.completed"}), []),
        (codex("sse_event", **{"event.kind": "response.output_text.delta"}, **CODEX_TOKENS), []),
        (
            codex("conversation_starts", model="gpt-5.5", **{"app.version": "0.169.0"}),
            [("session_start", {"ideSessionId": "c1", "cliVersion": "0.169.0", "model": "gpt-5.5"})],
        ),
        (codex("tool_decision", tool_name="exec", call_id="call_9", decision="approved"), []),
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
def test_codex_records_are_events(record, expected):
    assert kinds_and_data(record) == expected


@pytest.mark.parametrize(
    ("decision", "source", "kinds"),
    [
        ("approved", "Config", ["tool_intent"]),
        ("approved_for_session", "User", ["tool_intent", "permission_decision"]),
        ("denied", "User", ["tool_intent", "interrupt"]),
    ],
)
def test_a_codex_tool_decision_also_produces_a_tool_intent(decision, source, kinds):
    call = {"tool_name": "exec_command", "call_id": "call_1"}
    recorded = kinds_and_data(codex("tool_decision", decision=decision, source=source, **call))
    assert recorded[0] == ("tool_intent", {"toolName": "exec_command", "toolUseId": "call_1"})
    assert [kind for kind, _ in recorded] == kinds


@pytest.mark.parametrize(("code", "stdout"), [(0, "2 passed\n"), (3, "")])
def test_exit_code_of_a_codex_command_is_read_from_the_output(code, stdout):
    output = f"Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code {code}\nOutput:\n{stdout}"
    intent, command = kinds_and_data(result(output))
    assert intent[0] == "tool_intent"
    assert command == (
        "command",
        {"command": "make test", "exitCode": code, "stdout": stdout, "durationMs": 71, "toolUseId": "call_1"},
    )


def test_running_codex_commands_do_not_include_an_exit_code():
    _, (_, data) = kinds_and_data(
        result("Wall time: 1.0 seconds\nProcess running with session ID 7\nOutput:\n...")
    )
    assert "exitCode" not in data


@pytest.mark.parametrize(("command", "output"), [("x", "a" * 5 * 2**20), ("a" * 5 * 2**20, "")])
def test_ends_of_a_running_command_repeat_its_output_up_to_a_limit(command, output):
    def result(number, name, arguments, output):
        attributes = {"call_id": f"c{number}", "tool_name": name, "arguments": json.dumps(arguments)}
        return codex("tool_result", output=output, success="true", **attributes)

    running = f"Process running with session ID 7\nOutput:\n{output}"
    start = result(0, "exec_command", {"cmd": command}, running)
    exited = "Process exited with code 0\nOutput:\n"
    ends = [result(number, "write_stdin", {"session_id": 7}, exited) for number in range(1, 100)]
    assert [event.kind for event in read(start, *ends)].count("command") == 5


def test_a_request_looks_up_a_limited_number_of_unknown_commands():
    def end(number):
        arguments = json.dumps({"session_id": number})
        attributes = {"call_id": f"c{number}", "tool_name": "write_stdin", "arguments": arguments}
        return codex(
            "tool_result", output="Process exited with code 0\nOutput:\n", success="true", **attributes
        )

    lookups = []
    telemetry.read(
        [*map(end, range(2_000))], RECEIVED_AT, START, find_stored=lambda *names: lookups.append(names)
    )
    assert len(lookups) <= 101


def test_codex_patch_is_one_event_per_file():
    patch = "*** Begin Patch\n*** Add File: a.py\n+a = 1\n*** Update File: b.py\n@@\n-b = 1\n+b = 2\n*** End Patch"
    output = (
        "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following files:\nA a.py\nM b.py\n"
    )
    _, created, changed = read(result(output, tool_name="apply_patch", arguments=patch))
    assert (created.kind, created.data["path"], created.data["content"]) == ("file_create", "a.py", "a = 1\n")
    assert (changed.kind, changed.data["path"], changed.data["linesAdded"]) == ("file_diff", "b.py", 1)
    assert (created.identity, created.index) != (changed.identity, changed.index)


def test_a_codex_mcp_server_call_is_an_mcp_call():
    _, (kind, data) = kinds_and_data(result("{}", tool_name="query", mcp_server="db", arguments="{}"))
    assert (kind, data["tool"]) == ("mcp_call", "query")


def gemini(name, **attributes):
    common = {
        "event.name": f"gemini_cli.{name}",
        "event.timestamp": "2026-04-01T08:00:00.000Z",
        "session.id": "g1",
    }
    return LogRecord({}, common | PRIVATE | attributes, None)


def test_gemini_cli_records_are_events():
    shell = {"function_name": "run_shell_command", "function_args": '{"command": "make"}', "success": True}
    assert kinds_and_data(
        gemini("user_prompt", prompt="Fix it"),
        gemini("tool_call", metadata='{"exitCode": 3, "isError": true}', **shell),
        gemini("api_response", input_token_count=10, cached_content_token_count=4, output_token_count=2),
    ) == [
        ("prompt", {"text": "Fix it"}),
        ("tool_intent", {"toolName": "run_shell_command", "inputPreview": '{"command": "make"}'}),
        ("command", {"command": "make", "exitCode": 3}),
        ("ai_response", {"usageScope": "request", "inputTokens": 6, "cacheReadTokens": 4, "outputTokens": 2}),
    ]


def test_the_newest_record_gets_the_received_time():
    """R37: the candidate's clock is three hours fast."""
    times = ["2026-04-01T13:00:10.000Z", "2026-04-01T13:00:00.500Z", "2026-04-01T13:00:07Z"]
    events = read(*(claude("user_prompt", time, prompt=time) for time in times))
    ages = [timedelta(seconds=9.5), timedelta(seconds=3), timedelta(0)]
    assert [event.at for event in events] == [RECEIVED_AT - age for age in ages]
    assert [event.data["originalTs"] for event in events] == [
        "2026-04-01T13:00:00.500Z",
        "2026-04-01T13:00:07.000Z",
        "2026-04-01T13:00:10.000Z",
    ]


def test_an_ignored_record_can_be_the_newest():
    (event,) = read(
        claude("user_prompt", "2026-04-01T08:00:00Z", prompt="Fix it"),
        claude("hook_execution_start", "2026-04-01T08:00:04Z"),
    )
    assert event.at == RECEIVED_AT - timedelta(seconds=4)


def test_no_event_precedes_the_session():
    old, new = read(
        claude("user_prompt", "1999-01-01T00:00:00Z", prompt="Old"),
        claude("user_prompt", "2026-04-01T08:00:00Z", prompt="New"),
    )
    assert (old.at, new.at) == (START, RECEIVED_AT)


def test_simultaneous_records_are_in_sequence_order():
    texts = ["First", "Second", "Third"]
    records = [claude("user_prompt", sequence=number, prompt=text) for number, text in enumerate(texts)]
    assert [event.data["text"] for event in read(*reversed(records))] == texts


def test_a_resumed_session_restarts_its_sequence():
    first, resumed = read(
        claude("user_prompt", "2026-04-01T08:00:00Z", 0, prompt="Go on"),
        claude("user_prompt", "2026-04-01T08:30:00Z", 0, prompt="Go on"),
    )
    assert first.identity != resumed.identity


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "9999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"])
def test_a_record_without_an_event_timestamp_uses_the_record_time(time):
    record = claude("user_prompt", time, prompt="Fix it")._replace(time_ns=1_775_030_400_000_000_000)
    (event,) = read(record)
    assert event.data["originalTs"] == "2026-04-01T08:00:00.000Z"
    (event,) = read(record._replace(time_ns=None))
    assert (event.at, "originalTs" in event.data) == (RECEIVED_AT, False)


def test_events_are_grouped_by_agent_session():
    records = [claude("user_prompt", prompt="A"), codex("user_prompt", prompt="B")]
    assert [tuple(source) for source, _ in telemetry.read(records, RECEIVED_AT, START)] == [
        ("otlp", "claude-code", "2.1.197", "s1"),
        ("otlp", "codex", "0.169.0", "c1"),
    ]


def test_events_exclude_private_attributes():
    records = [claude("user_prompt", prompt="A"), claude("api_request", **RESPONSE, **TOKENS)]
    records += [codex("conversation_starts"), result("x")]
    events = repr(telemetry.read(records, RECEIVED_AT, START))
    assert not [value for value in PRIVATE.values() if value in events]


NAMES = [tool.prefix + name for tool in telemetry.TOOLS for name in tool.readers]
VALUES = [None, True, 0, -1, 2**63 - 1, 1.5, "", "x", "\ud800\x00", "{}", "[]", "{" * 5000, '{"a": [1e999]}']


ATTRIBUTES = (
    "prompt command_name query_source model request_id input_tokens cost_usd response error tool_use_id tool_name "
    "decision source tool_parameters tool_input success duration_ms call_id arguments output mcp_server event.kind "
    "input_token_count metadata cached_token_count function_name function_args event.timestamp event.sequence"
)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_arbitrary_values_do_not_raise(value):
    attributes = ATTRIBUTES.split()
    valid = dict.fromkeys(attributes, "1") | {"session.id": "1", "conversation.id": "1"}
    for name in NAMES:
        for tool_name in ("Bash", "Edit", "exec_command", "apply_patch"):
            fields = {"event.name": name, "tool_name": tool_name, "event.kind": "response.completed"}
            for attribute in attributes:
                read(LogRecord({}, valid | fields | {attribute: value}, None))
        fields = dict.fromkeys([*attributes, "session.id"], value) | {"event.name": name}
        read(LogRecord({"service.version": value}, fields, 1))
    read(LogRecord({}, {"event.name": value}, -1))
