"""Claude Code and Codex hooks, read as events."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.agents import hooks

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
FOLDER = "/home/ada/shop"


def read(name, tool="claude-code", now=NOW, **fields):
    common = {"session_id": "s1", "prompt_id": "p1", "cwd": FOLDER, "hook_event_name": name}
    result = hooks.read(tool, common | fields, now)
    return result[1] if result else []


def single(events):
    (event,) = events
    return event.kind, event.data


CALL = {"tool_use_id": "toolu_1", "duration_ms": 7}


def success(name, arguments, response, **fields):
    return read("PostToolUse", tool_name=name, tool_input=arguments, tool_response=response, **CALL, **fields)


def failure(name, arguments, error, **fields):
    return read("PostToolUseFailure", tool_name=name, tool_input=arguments, error=error, **CALL, **fields)


@pytest.mark.parametrize(
    ("name", "fields", "kind", "data"),
    [
        ("UserPromptSubmit", {"prompt": "Fix the cart"}, "prompt", {"text": "Fix the cart"}),
        ("Stop", {"last_assistant_message": "Fixed."}, "ai_response", {"lastAssistantMessage": "Fixed."}),
        (
            "StopFailure",
            {"error": "unknown", "last_assistant_message": "402"},
            "agent_error",
            {"error": "402"},
        ),
        (
            "SessionStart",
            {"source": "resume"},
            "session_start",
            {"source": "resume", "cwd": FOLDER, "ideSessionId": "s1"},
        ),
        ("SessionEnd", {"reason": "logout"}, "session_end", {"reason": "logout"}),
        ("SubagentStart", {"agent_type": "Explore"}, "subagent_start", {"subagentType": "Explore"}),
        ("PreCompact", {"trigger": "auto"}, "context_compact", {"trigger": "auto"}),
        ("Interrupt", {}, "interrupt", {"variant": "generation", "subtype": "generation"}),
        (
            "PreToolUse",
            {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "toolu_1"},
            "tool_intent",
            {"toolName": "Bash", "inputPreview": '{"command": "ls"}', "toolUseId": "toolu_1"},
        ),
        (
            "PermissionDenied",
            {"tool_name": "Bash", "tool_use_id": "toolu_1", "reason": "auto mode"},
            "permission_decision",
            {"decision": "reject", "source": "auto mode", "toolName": "Bash", "toolUseId": "toolu_1"},
        ),
        (
            "PermissionRequest",
            {"tool_name": "Bash", "tool_input": {"command": "rm x"}},
            "permission_request",
            {"toolName": "Bash", "inputPreview": '{"command": "rm x"}'},
        ),
    ],
)
def test_a_hook_is_an_event(name, fields, kind, data):
    assert single(read(name, **fields)) == (kind, data)


def test_prompts_that_claude_code_submits_by_itself_are_no_prompts():
    assert read("UserPromptSubmit", prompt="<task-notification>\nDone.\n</task-notification>") == []


@pytest.mark.parametrize("name", ["PostToolBatch", "MessageDisplay", "TaskCreated", "PostCompact", "New", ""])
def test_other_hooks_are_ignored(name):
    assert read(name, tool_name="Bash", tool_calls=[{}], delta="Fo", message_id="m", task_id="1") == []


@pytest.mark.parametrize(
    ("response", "data"),
    [
        ({"stdout": "2 passed", "stderr": ""}, {"stdout": "2 passed", "stderr": "", "exitCode": 0}),
        (
            {"stdout": "", "returnCodeInterpretation": "No matches found"},
            {"stdout": "", "exitCode": 1, "interpretation": "No matches found"},
        ),
        ({"stdout": "1", "interrupted": True}, {"stdout": "1"}),
        ({"stdout": "", "backgroundTaskId": "b1"}, {"stdout": ""}),
        ("2 passed", {}),
        (None, {}),
    ],
)
@pytest.mark.parametrize("shell", ["Bash", "PowerShell"])
def test_successful_commands_include_the_exit_code_if_known(shell, response, data):
    expected = {"command": "make test", "durationMs": 7, "toolUseId": "toolu_1"} | data
    assert single(success(shell, {"command": "make test"}, response)) == ("command", expected)


@pytest.mark.parametrize(
    ("error", "fields", "data"),
    [
        ("Exit code 3\n1 failed\n", {}, {"exitCode": 3, "stdout": "1 failed\n"}),
        ("Exit code 130", {}, {"exitCode": 130, "stdout": ""}),
        ("Exit code 137\npartly", {"is_interrupt": True}, {"stdout": "partly"}),
        ("Command timed out", {}, {"error": "Command timed out"}),
        ("It printed\nExit code 3\n", {}, {"error": "It printed\nExit code 3\n"}),
    ],
)
def test_exit_code_of_a_failed_command_is_read_from_the_error(error, fields, data):
    expected = {"command": "make test", "durationMs": 7, "toolUseId": "toolu_1"} | data
    assert single(failure("Bash", {"command": "make test"}, error, **fields)) == ("command", expected)


BEFORE = "def total(prices):\n\treturn 0\n\n\ndef count(prices):\n\treturn len(prices)\n"
AFTER = BEFORE.replace("return 0", "return sum(prices)")
EDIT = {"file_path": f"{FOLDER}/cart.py", "old_string": "return 0", "new_string": "return sum(prices)"}
# Claude Code's hunks contain spaces instead of tabs, so they do not apply to the file.
PATCH = [
    {
        **{"oldStart": 1, "oldLines": 3, "newStart": 1, "newLines": 3},
        "lines": [" def total(prices):", "-    return 0", "+    return sum(prices)", " "],
    }
]
DIFF = (
    "--- a/cart.py\n+++ b/cart.py\n@@ -1,5 +1,5 @@\n def total(prices):\n-\treturn 0\n+\treturn sum(prices)\n \n \n"
    " def count(prices):\n"
)


def test_edits_include_the_exact_diff():
    response = {"filePath": EDIT["file_path"], "originalFile": BEFORE, "structuredPatch": PATCH}
    kind, data = single(success("Edit", EDIT, response))
    assert kind == "file_diff"
    assert data["diff"] == DIFF
    assert (data["path"], data["linesAdded"], data["linesRemoved"]) == ("cart.py", 1, 1)
    assert (data["oldString"], data["newString"]) == ("return 0", "return sum(prices)")
    assert "isPartial" not in data


def test_edits_use_the_quotes_in_the_file():
    arguments = EDIT | {"old_string": "it\u2019s", "new_string": "it\u2019s not"}
    response = {"originalFile": "it's\n", "oldString": "it's", "newString": "it's not"}
    _, data = single(success("Edit", arguments, response))
    assert data["diff"] == "--- a/cart.py\n+++ b/cart.py\n@@ -1 +1 @@\n-it's\n+it's not\n"


def test_an_edit_without_its_base_is_partial():
    _, data = single(success("Edit", EDIT, {}))
    assert data["isPartial"] is True
    assert (data["oldString"], data["newString"]) == ("return 0", "return sum(prices)")


def test_a_write_creates_or_replaces_a_file():
    arguments = {"file_path": f"{FOLDER}/src/new.py", "content": "a = 1\nb = 2"}
    kind, data = single(success("Write", arguments, {"type": "create", "originalFile": None}))
    new = "--- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1,2 @@\n+a = 1\n+b = 2\n\\ No newline at end of file\n"
    assert (kind, data["path"], data["content"]) == ("file_create", "src/new.py", "a = 1\nb = 2")
    assert (data["diff"], data["linesAdded"]) == (new, 2)
    kind, data = single(success("Write", arguments, {"type": "update", "originalFile": "a = 1\n"}))
    assert (kind, data["linesAdded"], data["linesRemoved"]) == ("file_diff", 1, 0)
    assert data["diff"].endswith("@@ -1 +1,2 @@\n a = 1\n+b = 2\n\\ No newline at end of file\n")


def test_writing_to_an_empty_file_is_an_exact_change():
    arguments = {"file_path": f"{FOLDER}/a.py", "content": "a = 1\n"}
    kind, data = single(success("Write", arguments, {"type": "update", "originalFile": ""}))
    assert (kind, "isPartial" in data) == ("file_diff", False)
    assert data["diff"] == "--- a/a.py\n+++ b/a.py\n@@ -0,0 +1 @@\n+a = 1\n"


@pytest.mark.parametrize(
    ("call", "kind", "data"),
    [
        (
            ("Read", {"file_path": f"{FOLDER}/a.py"}, {"file": {"content": "a\nb\n", "numLines": 3}}),
            "file_read",
            {"path": "a.py", "contentLength": 4, "numLines": 3},
        ),
        (("Read", {"file_path": "/etc/hosts"}, {}), "file_read", {"path": "/etc/hosts"}),
        (
            ("TaskCreate", {"subject": "Test", "description": "All"}, {"task": {"id": "4"}}),
            "planning",
            {"toolName": "TaskCreate", "subject": "Test", "description": "All", "taskId": "4"},
        ),
        (("WebSearch", {"query": "peewee"}, {}), "web_lookup", {"toolName": "WebSearch", "query": "peewee"}),
        (("ExitPlanMode", {"plan": "1. Test"}, {}), "plan_decision", {"planPreview": "1. Test"}),
    ],
)
def test_each_tool_maps_to_an_event_kind(call, kind, data):
    recorded_kind, recorded = single(success(*call))
    assert recorded_kind == kind
    assert recorded | data | {"durationMs": 7, "toolUseId": "toolu_1"} == recorded


def test_a_failed_call_is_a_tool_use():
    kind, data = single(failure("Read", {"file_path": "/none"}, "File does not exist."))
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", "Read", False)
    assert data["error"] == "File does not exist."
    assert single(failure("ExitPlanMode", {"plan": "1"}, "Not in plan mode."))[0] == "tool_use"


def test_subagent_events_include_the_agent_id():
    (event,) = success("Bash", {"command": "ls"}, {"stdout": ""}, agent_id="a1")
    assert event.agent_id == "a1"


@pytest.mark.parametrize("name", ["UserPromptSubmit", "Stop", "SessionStart", "SessionEnd", "PreCompact"])
def test_a_hook_in_two_settings_files_is_one_event(name):
    fields = {"prompt": "Go on", "last_assistant_message": "Done", "source": "startup"}
    (first,), (second,) = (read(name, now=NOW + timedelta(seconds=offset), **fields) for offset in (0, 5))
    assert (first.identity, first.index) == (second.identity, second.index)


def test_repeated_texts_are_separate_events():
    for name, field in (("UserPromptSubmit", "prompt"), ("Stop", "last_assistant_message")):
        (first,), (second,) = (read(name, prompt_id=prompt, **{field: "Go on"}) for prompt in ("p1", "p2"))
        assert first.identity != second.identity


def test_each_start_of_a_resumed_session_is_an_event():
    times = (NOW, NOW + timedelta(hours=1))
    (first,), (second,) = (read("SessionStart", source="resume", now=time) for time in times)
    assert first.identity != second.identity


def test_codex_commands_do_not_include_an_exit_code():
    call = {"tool": "codex", "tool_use_id": "call_1", "turn_id": "t1"}
    ran = read("PostToolUse", tool_name="Bash", tool_input={"command": "make"}, tool_response="ok\n", **call)
    assert single(ran) == ("command", {"command": "make", "stdout": "ok\n", "toolUseId": "call_1"})


def test_codex_stop_hook_and_notification_are_one_event():
    (stop,) = read("Stop", "codex", prompt_id=None, turn_id="t1", last_assistant_message="Done.")
    notification = {"type": "agent-turn-complete", "thread-id": "s1", "turn-id": "t1"}
    event_source, events = hooks.read("codex", notification | {"last-assistant-message": "Done."}, NOW)
    assert event_source.agent_session == "s1"
    assert events == [stop]


PATCHED = "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following files:\nA a.py\nM b.py\nD c.py\n"


def test_codex_patch_is_one_event_per_file():
    patch = (
        "*** Begin Patch\n*** Add File: a.py\n+a = 1\n*** Update File: b.py\n@@\n-b = 1\n+b = 2\n"
        "*** Delete File: c.py\n*** End Patch"
    )
    call = {"tool_name": "apply_patch", "tool_input": {"command": patch}, "tool_use_id": "call_1"}
    events = read("PostToolUse", "codex", tool_response=PATCHED, **call)
    assert [(event.kind, event.data["path"], event.index) for event in events] == [
        ("file_create", "a.py", 0),
        ("file_diff", "b.py", 1),
        ("file_delete", "c.py", 2),
    ]
    assert all(event.data["toolUseId"] == "call_1" for event in events)


def test_codex_patch_in_a_script_is_recorded():
    script = "await tools.apply_patch('*** Begin Patch\\n*** Add File: a.py\\n+a = 1\\n*** End Patch');"
    call = {"tool_name": "exec", "tool_input": script, "tool_use_id": "call_1"}
    events = read("PostToolUse", "codex", tool_response="Script completed\n", **call)
    assert [event.data.get("path") for event in events if event.kind == "file_create"] == ["a.py"]


VALUES = [None, True, 0, -1, 10**400, 1.5, "", "x", "\ud800\x00", [], [[]], {}, {"a": {"b": []}}]
FIELDS = "session_id prompt_id cwd prompt tool_name tool_use_id tool_input tool_response error"
INPUTS = "command file_path old_string new_string content todos prompt plan"
RESPONSES = "stdout interrupted originalFile oldString structuredPatch file task numFiles"
TOOLS = "Bash Read Edit Write NotebookEdit TodoWrite TaskCreate Agent Grep apply_patch"


@pytest.mark.parametrize("tool", ["claude-code", "codex"])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_arbitrary_values_do_not_raise(tool, value):
    fields = FIELDS.split()
    for name in hooks._READERS:
        for field in fields:
            read(name, tool, **({"tool_name": "Edit", "tool_use_id": "1"} | {field: value}))
        hooks.read(tool, dict.fromkeys((*fields, "hook_event_name", "last_assistant_message"), value), NOW)
    for tool_name in TOOLS.split():
        call = {"tool_name": tool_name, "tool_use_id": "1", "error": value, "duration_ms": value}
        for name in ("PostToolUse", "PostToolUseFailure"):
            read(name, tool, tool_input=dict.fromkeys(INPUTS.split(), value), tool_response=value, **call)
            read(name, tool, tool_input=value, tool_response=dict.fromkeys(RESPONSES.split(), value), **call)
