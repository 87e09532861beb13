"""Codex's tools and user messages."""

import pytest

from tests.rules.agents.changed_files import apply_changes
from tests.rules.agents.responses_items import (
    call,
    command_result,
    context,
    outcomes,
    patch,
    patch_result,
    request,
    result,
    running_result,
    user,
)


def recorded(*items):
    """Return the kind and data of the events after the prompt, without call ids."""
    _prompt, *events = outcomes(user("Fix it."), *items)
    return [
        (kind, {name: value for name, value in data.items() if name != "toolUseId"}) for kind, data in events
    ]


COMMANDS = {
    "passed": (command_result("c", "a.py\n"), {"stdout": "a.py\n", "exitCode": 0, "durationMs": 10}),
    "failed": (
        command_result("c", "no\n", 3, "1.2500"),
        {"stdout": "no\n", "exitCode": 3, "durationMs": 1250},
    ),
    "killed": (command_result("c", "", -1), {"stdout": "", "exitCode": -1, "durationMs": 10}),
    "prints a different exit code": (
        command_result("c", "Process exited with code 9\nOutput:\n", 1),
        {"stdout": "Process exited with code 9\nOutput:\n", "exitCode": 1, "durationMs": 10},
    ),
    "older format": (
        result("c", "Exit code: 2\nWall time: 0.5 seconds\nOutput:\nno"),
        {"stdout": "no", "exitCode": 2, "durationMs": 500},
    ),
    "without a header": (result("c", "something else"), {"stdout": "something else"}),
}


@pytest.mark.parametrize(("output", "data"), COMMANDS.values(), ids=COMMANDS)
def test_commands_include_output_and_exit_code(output, data):
    assert recorded(call("c", "exec_command", cmd="ls"), output) == [("command", {"command": "ls"} | data)]


@pytest.mark.parametrize("words", [["bash", "-lc", "ls -l"], ["ls", "-l"]])
def test_a_command_can_be_an_argument_vector(words):
    [(_, data)] = recorded(call("c", "shell", command=words), command_result("c"))
    assert data["command"] == "ls -l"


def test_a_long_command_is_reported_again_when_it_ends():
    items = [
        call("c1", "exec_command", cmd="make test"),
        running_result("c1", 4711, "one\n"),
        call("other", "exec_command", cmd="make run"),
        running_result("other", 4712, "other\n"),
        call("c2", "write_stdin", session_id=4711, chars=""),
        running_result("c2", 4711, "two\n"),
        call("c3", "write_stdin", session_id=4711, chars="y\n"),
        command_result("c3", "failed\n", 2),
    ]
    started, _, finished = outcomes(user("Fix it."), *items)[1:]
    running = {"toolUseId": "c1", "command": "make test", "stdout": "one\n", "processId": 4711}
    assert started == ("command", running)
    assert finished == (
        "command",
        {"toolUseId": "c1", "command": "make test", "stdout": "one\ntwo\nfailed\n", "exitCode": 2},
    )


ABORTED = user("<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>")


@pytest.mark.parametrize("output", ["Wall time: 4.6 seconds\naborted by user", "aborted by user after 4.6s"])
def test_interrupted_command_is_followed_by_an_interrupt(output):
    items = [call("c", "exec_command", cmd="sleep 30"), result("c", output), ABORTED, user("Go on.")]
    command, interrupt, prompt = recorded(*items)
    assert command == ("command", {"command": "sleep 30"})
    assert interrupt[0] == "interrupt"
    assert (interrupt[1]["variant"], interrupt[1]["cutTool"]) == ("tool_use", "exec_command")
    assert prompt == ("prompt", {"text": "Go on.", "followsInterrupt": True})


def test_interrupted_answer_is_an_interrupt():
    interrupt, prompt = recorded(ABORTED, user("Go on."))
    assert interrupt == ("interrupt", {"variant": "generation", "subtype": "generation"})
    assert prompt[1]["followsInterrupt"] is True


@pytest.mark.parametrize("output", ["exec command rejected by user", "patch rejected by user"])
def test_a_rejected_call_is_an_interrupt(output):
    [(kind, data)] = recorded(call("c", "exec_command", cmd="rm -r ."), result("c", output))
    assert (kind, data["cutTool"]) == ("interrupt", "exec_command")
    assert data["cutToolInput"] == '{"cmd": "rm -r ."}'


BASE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a + b\n"


def test_applying_changes_yields_the_final_files(tmp_path):
    files = {
        "calc.py": BASE,
        "old.py": "x\n",
        "here.txt": "one\ntwo",
        "part.py": "".join(f"{n}\n" for n in range(90)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode())
    printed = "".join(f"{n}\n" for n in range(39, 60))
    items = [
        call("c1", "exec_command", cmd="cat calc.py", workdir="/shop"),
        command_result("c1", BASE),
        call("c2", "exec_command", cmd="cat ./here.txt"),
        command_result("c2", "one\ntwo"),
        call("c3", "exec_command", cmd="sed -n '40,60p' part.py"),
        command_result("c3", printed),
        patch(
            "c4", "*** Update File: calc.py", "@@ def add(a, b):", "-    return a - b", "+    return a + b"
        ),
        patch_result("c4", "M calc.py"),
        patch(
            "c5",
            "*** Add File: pkg/new.py",
            "+y = 1",
            "*** Update File: /shop/calc.py",
            "@@ def sub(a, b):",
            "-    return a + b",
            "+    return a - b",
            "*** Update File: part.py",
            "@@",
            " 50",
            "-51",
            "+fifty-one",
        ),
        patch_result("c5", "A pkg/new.py", "M calc.py", "M part.py"),
        patch("c6", "*** Update File: here.txt", "*** Move to: there/it.txt", "@@", "-two", "+TWO"),
        patch_result("c6", "M there/it.txt"),
        patch("c7", "*** Delete File: old.py"),
        patch_result("c7", "D old.py"),
    ]
    assert apply_changes(tmp_path, recorded(*items)) == {
        "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n",
        "pkg/new.py": "y = 1\n",
        "there/it.txt": "one\nTWO\n",
        "part.py": files["part.py"].replace("\n51\n", "\nfifty-one\n"),
    }


def test_change_to_an_unknown_file_has_one_hunk_per_chunk():
    lines = ["*** Update File: calc.py", "@@", " a", "-b", "+c", "@@ def f():", "+    # no", "-    return a"]
    [event] = recorded(patch("c", *lines), patch_result("c", "M calc.py"))
    hunks = "@@ -1,2 +1,2 @@\n a\n-b\n+c\n@@ -3 +3 @@\n-    return a\n+    # no\n"
    diff = f"--- a/calc.py\n+++ b/calc.py\n{hunks}"
    data = {"path": "calc.py", "diff": diff, "linesAdded": 2, "linesRemoved": 2, "isPartial": True}
    assert event == ("file_diff", data)


def test_a_failed_patch_is_a_tool_use():
    failed = result(
        "c", "apply_patch verification failed: Failed to find expected lines in /shop/calc.py:\na"
    )
    [(kind, data)] = recorded(patch("c", "*** Update File: calc.py", "@@", "-a", "+c"), failed)
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", "apply_patch", False)


def test_a_patch_in_a_shell_command_changes_files():
    command = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: new.py\n+x\n*** End Patch\nEOF"
    output = "Wall time: 0.0000 seconds\nOutput:\n" + patch_result("c", "A new.py")["output"]
    [(kind, data)] = recorded(
        call("c", "exec_command", cmd=command, workdir="/shop/pkg"), result("c", output)
    )
    assert (kind, data["path"], data["content"]) == ("file_create", "pkg/new.py", "x\n")


OTHER_TOOLS = {
    "plan": (
        call("c", "update_plan", plan=[{"step": "one", "status": "completed"}]),
        (
            "planning",
            {"toolName": "update_plan", "todos": [{"step": "one", "status": "completed"}], "itemCount": 1},
        ),
    ),
    "image": (call("c", "view_image", path="/shop/a.png"), ("file_read", {"path": "a.png"})),
    "agent": (
        call("c", "spawn_agent", message="Count."),
        ("task_dispatch", {"taskPreview": "Count.", "toolName": "spawn_agent"}),
    ),
    "MCP server": (
        call("c", "mcp__docs__find", query="a"),
        ("mcp_call", {"tool": "mcp__docs__find", "argsPreview": '{"query": "a"}'}),
    ),
    "MCP server with a namespace": (
        call("c", "find", query="a") | {"namespace": "mcp__docs__"},
        ("mcp_call", {"tool": "mcp__docs__find", "argsPreview": '{"query": "a"}'}),
    ),
    "unknown": (
        call("c", "invented", a=1),
        ("tool_use", {"toolName": "invented", "inputPreview": '{"a": 1}', "ok": True}),
    ),
}


@pytest.mark.parametrize(("item", "event"), OTHER_TOOLS.values(), ids=OTHER_TOOLS)
def test_each_tool_maps_to_an_event_kind(item, event):
    assert recorded(item, result("c", "fine")) == [event]


def test_dispatch_includes_the_subagent_id():
    [(kind, data)] = recorded(call("c", "spawn_agent", message="Count."), result("c", '{"agent_id": "s2"}'))
    assert (kind, data["agentId"]) == ("task_dispatch", "s2")


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (call("c", "update_plan", plan=[]), "unsupported call: update_plan"),
        (patch("c", "*** Add File: a", "+b"), "unsupported custom tool call: apply_patch"),
    ],
)
def test_unsupported_tool_is_a_failed_tool_use(item, output):
    [(kind, data)] = recorded(item, result("c", output))
    assert (kind, data["ok"], data["error"]) == ("tool_use", False, output)


TITLE_REQUEST = (
    "Generate a concise, single-line task title of at most 36 characters and under five words where possible. "
    "Start with an imperative verb.\n\nUser prompt:\nFix it."
)
INJECTED = [
    "# AGENTS.md instructions for /shop\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
    "<environment_context>\n  <cwd>/shop</cwd>\n</environment_context>",
    "<user_instructions>\nBe brief.\n</user_instructions>",
    '<subagent_notification>\n{"status": "completed"}\n</subagent_notification>',
    '<codex_internal_context source="user_goal">\nGo on.\n</codex_internal_context>',
    "<skill>\nDo it.\n</skill>",
    TITLE_REQUEST,
]


@pytest.mark.parametrize("text", INJECTED)
def test_injected_text_is_not_a_prompt(text):
    assert recorded(user(text)) == []


PROMPTS = {
    "plain": ("Fix it, please.", "Fix it, please."),
    "with a tag": ("<b>bold</b>", "<b>bold</b>"),
    "starts with a tag": ("<turn_on> it", "<turn_on> it"),
    "from an editor": (
        "# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nFix it.",
        "Fix it.",
    ),
}


@pytest.mark.parametrize(("text", "prompt"), PROMPTS.values(), ids=PROMPTS)
def test_user_text_is_a_prompt(text, prompt):
    assert recorded(user(text)) == [("prompt", {"text": prompt})]


def test_a_prompt_contains_an_image_placeholder():
    item = user("<image name=[Image #1]>", "</image>", "What is it?")
    item["content"].insert(1, {"type": "input_image", "image_url": "data:image/png;base64,AA=="})
    assert recorded(item) == [("prompt", {"text": "[image]\nWhat is it?"})]


def test_a_user_command_includes_its_output():
    text = (
        "<user_shell_command>\n<command>\nls\n</command>\n<result>\nExit code: 2\nDuration: 0.1000 seconds\n"
        "Output:\nno such file\n</result>\n</user_shell_command>"
    )
    data = {"command": "ls", "exitCode": 2, "stdout": "no such file", "human": True}
    assert recorded(user(text)) == [("command", data)]


def test_first_item_can_define_tools():
    offer = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]}
    assert request(tools=[], input=[offer, context(), user("Fix it.")]).has_tools
    assert not request(user("Fix it."), tools=[{"type": "web_search"}]).has_tools


COMPLETED = "Script completed\nWall time 0.1 seconds\nOutput:\n"


def script(call_id, source, output, *printed):
    """Return a code mode script and its result."""
    parts = [{"type": "input_text", "text": part} for part in (output, *printed)]
    return [
        {"type": "custom_tool_call", "name": "exec", "input": source, "call_id": call_id},
        {"type": "custom_tool_call_output", "call_id": call_id, "output": parts},
    ]


def test_a_script_records_its_patches():
    patch_text = "*** Begin Patch\\n*** Add File: new.py\\n+x\\n*** End Patch"
    source = f'const patch = "{patch_text}";\ntext(await tools.apply_patch(patch));'
    _prompt, (exec_kind, exec_data), (kind, data) = outcomes(
        user("Fix it."), *script("c", source, COMPLETED, "{}")
    )
    assert (exec_kind, exec_data["toolName"], exec_data["inputPreview"]) == ("tool_use", "exec", source)
    assert (kind, data["path"], data["content"]) == ("file_create", "new.py", "x\n")
    assert (data["toolUseId"], data["parentToolUseId"]) == ("c:0", "c")


def test_a_patch_of_too_many_files_is_a_generic_event():
    lines = ["*** Add File: a"] * 1_001
    [(kind, data)] = recorded(patch("c", *lines), patch_result("c", "A a"))
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", "apply_patch", True)


PRINTED = '{"chunk_id":"1a","wall_time_seconds":0.25,"exit_code":3,"original_token_count":1,"output":"no\\n"}'


def test_a_script_records_its_command_if_it_printed_the_exit_code():
    source = 'text(await tools.exec_command({cmd: "make test"}));'
    _, event = recorded(*script("c", source, COMPLETED, PRINTED))
    data = {"command": "make test", "exitCode": 3, "stdout": "no\n", "durationMs": 250}
    assert event == ("command", data | {"parentToolUseId": "c"})


def test_a_long_script_records_its_command_when_it_ends():
    source = 'text(await tools.exec_command({cmd: "make test"}));'
    waiting = call("c2", "wait", cell_id="5")
    parts = [{"type": "input_text", "text": part} for part in (COMPLETED, PRINTED)]
    ended = {"type": "function_call_output", "call_id": "c2", "output": parts}
    running = script("c1", source, "Script running with cell ID 5\nWall time 0.5 seconds\nOutput:\n")
    *_, (kind, data) = outcomes(user("Fix it."), *running, waiting, ended)
    assert (kind, data["toolUseId"], data["command"], data["exitCode"]) == ("command", "c1:0", "make test", 3)


UNCERTAIN = {
    "failed": (
        'text(await tools.exec_command({cmd: "ls"}));',
        "Script failed\nWall time 0.1 seconds\nOutput:\n",
    ),
    "still runs": ('text(await tools.exec_command({cmd: "ls"}));', "Script running with cell ID 5\n"),
    "prints only the exit code": ('text((await tools.exec_command({cmd: "ls"})).exit_code);', COMPLETED),
    "has a condition": ('if (x) text(await tools.exec_command({cmd: "ls"}));', COMPLETED),
}


@pytest.mark.parametrize(("source", "output"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_script_does_not_record_uncertain_calls(source, output):
    printed = [PRINTED] if "exit_code" not in source else ["3"]
    events = recorded(*script("c", source, output, *printed))
    assert [kind for kind, _ in events] == ["tool_use"]
