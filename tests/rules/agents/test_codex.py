"""Codex's tools and user messages."""

import pytest

from tests.rules.agents.responses_items import (
    call,
    context,
    ended,
    git_apply,
    outcomes,
    patch,
    patched,
    request,
    result,
    running,
    user,
)


def of(*items):
    """Kind and data of what followed the prompt, without ids of calls."""
    found = outcomes(user("Fix it."), *items)
    return [
        (kind, {name: value for name, value in data.items() if name != "toolUseId"})
        for kind, data in found[1:]
    ]


COMMANDS = {
    "passed": (ended("c", "a.py\n"), {"stdout": "a.py\n", "exitCode": 0, "durationMs": 10}),
    "failed": (ended("c", "no\n", 3, "1.2500"), {"stdout": "no\n", "exitCode": 3, "durationMs": 1250}),
    "killed": (ended("c", "", -1), {"stdout": "", "exitCode": -1, "durationMs": 10}),
    "names another exit code": (
        ended("c", "Process exited with code 9\nOutput:\n", 1),
        {"stdout": "Process exited with code 9\nOutput:\n", "exitCode": 1, "durationMs": 10},
    ),
    "older": (
        result("c", "Exit code: 2\nWall time: 0.5 seconds\nOutput:\nno"),
        {"stdout": "no", "exitCode": 2, "durationMs": 500},
    ),
    "without a head": (result("c", "something else"), {"stdout": "something else"}),
}


@pytest.mark.parametrize(("output", "data"), COMMANDS.values(), ids=COMMANDS)
def test_a_command(output, data):
    assert of(call("c", "exec_command", cmd="ls"), output) == [("command", {"command": "ls"} | data)]


def test_a_command_in_words():
    items = [call("c", "shell", command=["bash", "-lc", "ls -l"]), ended("c")]
    assert of(*items)[0][1]["command"] == "ls -l"
    assert of(call("c", "shell", command=["ls", "-l"]), ended("c"))[0][1]["command"] == "ls -l"


def test_a_command_that_runs_longer_is_one_command_when_it_ends():
    items = [
        call("c1", "exec_command", cmd="make test"),
        running("c1", 4711, "one\n"),
        call("other", "exec_command", cmd="make run"),
        running("other", 4712, "other\n"),
        call("c2", "write_stdin", session_id=4711, chars=""),
        running("c2", 4711, "two\n"),
        call("c3", "write_stdin", session_id=4711, chars="y\n"),
        ended("c3", "failed\n", 2),
    ]
    started, _, finished = outcomes(user("Fix it."), *items)[1:]
    assert (started[0], started[1]["toolUseId"], started[1]["toolName"]) == ("tool_use", "c1", "exec_command")
    assert finished == (
        "command",
        {"toolUseId": "c1", "command": "make test", "stdout": "one\ntwo\nfailed\n", "exitCode": 2},
    )


@pytest.mark.parametrize("output", ["Wall time: 4.6 seconds\naborted by user", "aborted by user after 4.6s"])
def test_an_interrupted_command(output):
    aborted = user("<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>")
    items = [call("c", "exec_command", cmd="sleep 30"), result("c", output), aborted, user("Go on.")]
    command, interrupt, prompt = of(*items)
    assert command == ("command", {"command": "sleep 30"})
    assert interrupt[0] == "interrupt"
    assert (interrupt[1]["variant"], interrupt[1]["cutTool"]) == ("tool_use", "exec_command")
    assert prompt == ("prompt", {"text": "Go on.", "followsInterrupt": True})


def test_an_interrupted_answer():
    aborted = user("<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>")
    interrupt, prompt = of(aborted, user("Go on."))
    assert interrupt == ("interrupt", {"variant": "generation", "subtype": "generation"})
    assert prompt[1]["followsInterrupt"] is True


@pytest.mark.parametrize("output", ["exec command rejected by user", "patch rejected by user"])
def test_a_rejected_call(output):
    [(kind, data)] = of(call("c", "exec_command", cmd="rm -r ."), result("c", output))
    assert (kind, data["cutTool"], data["cutToolInput"]) == (
        "interrupt",
        "exec_command",
        '{"cmd": "rm -r ."}',
    )


BASE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a + b\n"


def test_changes_applied_to_their_base_give_the_final_files(tmp_path):
    files = {
        "calc.py": BASE,
        "old.py": "x\n",
        "here.txt": "one\ntwo",
        "part.py": "".join(f"{n}\n" for n in range(90)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode())
    shown = "".join(f"{n}\n" for n in range(39, 60))
    items = [
        call("c1", "exec_command", cmd="cat calc.py", workdir="/shop"),
        ended("c1", BASE),
        call("c2", "exec_command", cmd="cat ./here.txt"),
        ended("c2", "one\ntwo"),
        call("c3", "exec_command", cmd="sed -n '40,60p' part.py"),
        ended("c3", shown),
        patch(
            "c4", "*** Update File: calc.py", "@@ def add(a, b):", "-    return a - b", "+    return a + b"
        ),
        patched("c4", "M calc.py"),
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
        patched("c5", "A pkg/new.py", "M calc.py", "M part.py"),
        patch("c6", "*** Update File: here.txt", "*** Move to: there/it.txt", "@@", "-two", "+TWO"),
        patched("c6", "M there/it.txt"),
        patch("c7", "*** Delete File: old.py"),
        patched("c7", "D old.py"),
    ]
    for kind, data in of(*items):
        assert "isPartial" not in data
        if kind in ("file_diff", "file_create"):
            git_apply(tmp_path, data["diff"])
        elif kind == "file_delete":
            (tmp_path / data["path"]).unlink()
    final = {
        str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert final == {
        "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n",
        "pkg/new.py": "y = 1\n",
        "there/it.txt": "one\nTWO\n",
        "part.py": files["part.py"].replace("\n51\n", "\nfifty-one\n"),
    }


def test_a_change_of_an_unknown_file_has_only_its_own_lines():
    items = [patch("c", "*** Update File: calc.py", "@@", " a", "-b", "+c"), patched("c", "M calc.py")]
    [(kind, data)] = of(*items)
    assert kind == "file_diff"
    assert data == {
        "path": "calc.py",
        "diff": "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n",
        "linesAdded": 1,
        "linesRemoved": 1,
        "isPartial": True,
    }


def test_a_change_of_several_parts_of_an_unknown_file_has_a_hunk_for_each():
    lines = ["*** Update File: calc.py", "@@", " a", "-b", "+c", "@@ def f():", "+    # no", "-    return a"]
    [(_, data)] = of(patch("c", *lines), patched("c", "M calc.py"))
    hunks = "@@ -1,2 +1,2 @@\n a\n-b\n+c\n@@ -3 +3 @@\n-    return a\n+    # no\n"
    assert (data["diff"], data["isPartial"]) == (f"--- a/calc.py\n+++ b/calc.py\n{hunks}", True)
    assert (data["linesAdded"], data["linesRemoved"]) == (2, 2)


def test_a_patch_that_failed_is_a_tool_use():
    failed = result(
        "c", "apply_patch verification failed: Failed to find expected lines in /shop/calc.py:\na"
    )
    [(kind, data)] = of(patch("c", "*** Update File: calc.py", "@@", "-a", "+c"), failed)
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", "apply_patch", False)


def test_a_patch_given_to_a_shell_changes_files():
    command = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: new.py\n+x\n*** End Patch\nEOF"
    output = "Wall time: 0.0000 seconds\nOutput:\n" + patched("c", "A new.py")["output"]
    [(kind, data)] = of(call("c", "exec_command", cmd=command, workdir="/shop/pkg"), result("c", output))
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
    "server": (
        call("c", "mcp__docs__find", query="a"),
        ("mcp_call", {"tool": "mcp__docs__find", "argsPreview": '{"query": "a"}'}),
    ),
    "server with a namespace": (
        call("c", "find", query="a") | {"namespace": "mcp__docs__"},
        ("mcp_call", {"tool": "mcp__docs__find", "argsPreview": '{"query": "a"}'}),
    ),
    "unknown": (
        call("c", "invented", a=1),
        ("tool_use", {"toolName": "invented", "inputPreview": '{"a": 1}', "ok": True}),
    ),
}


@pytest.mark.parametrize(("item", "event"), OTHER_TOOLS.values(), ids=OTHER_TOOLS)
def test_other_tools(item, event):
    assert of(item, result("c", "fine")) == [event]


def test_a_dispatch_names_the_subagent():
    [(kind, data)] = of(call("c", "spawn_agent", message="Count."), result("c", '{"agent_id": "s2"}'))
    assert (kind, data["agentId"]) == ("task_dispatch", "s2")


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (call("c", "update_plan", plan=[]), "unsupported call: update_plan"),
        (patch("c", "*** Add File: a", "+b"), "unsupported custom tool call: apply_patch"),
    ],
)
def test_a_tool_that_codex_does_not_have_has_failed(item, output):
    [(kind, data)] = of(item, result("c", output))
    assert (kind, data["ok"], data["error"]) == ("tool_use", False, output)


ADDED = [
    "# AGENTS.md instructions for /shop\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
    "<environment_context>\n  <cwd>/shop</cwd>\n</environment_context>",
    "<user_instructions>\nBe brief.\n</user_instructions>",
    '<subagent_notification>\n{"status": "completed"}\n</subagent_notification>',
    '<codex_internal_context source="user_goal">\nGo on.\n</codex_internal_context>',
    "<skill>\nDo it.\n</skill>",
]


@pytest.mark.parametrize("text", ADDED)
def test_texts_that_codex_adds_are_no_prompts(text):
    assert of(user(text)) == []


SAID = {
    "plain": ("Fix it, please.", "Fix it, please."),
    "with a tag": ("<b>bold</b>", "<b>bold</b>"),
    "starts with a tag": ("<turn_on> it", "<turn_on> it"),
    "from an editor": (
        "# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nFix it.",
        "Fix it.",
    ),
}


@pytest.mark.parametrize(("text", "prompt"), SAID.values(), ids=SAID)
def test_texts_of_the_person_are_prompts(text, prompt):
    assert of(user(text)) == [("prompt", {"text": prompt})]


def test_an_image_is_noted_in_its_prompt():
    item = user("<image name=[Image #1]>", "</image>", "What is it?")
    item["content"].insert(1, {"type": "input_image", "image_url": "data:image/png;base64,AA=="})
    assert of(item) == [("prompt", {"text": "[image]\nWhat is it?"})]


def test_a_command_of_the_person():
    text = (
        "<user_shell_command>\n<command>\nls\n</command>\n<result>\nExit code: 2\nDuration: 0.1000 seconds\n"
        "Output:\nno such file\n</result>\n</user_shell_command>"
    )
    data = {"command": "ls", "exitCode": 2, "stdout": "no such file", "human": True}
    assert of(user(text)) == [("command", data)]


def test_a_script_of_code_mode_is_a_tool_use():
    script = "const r = await tools.exec_command({cmd: 'ls'});\ntext(r.output);"
    item = {"type": "custom_tool_call", "name": "exec", "input": script, "call_id": "c"}
    output = [{"type": "input_text", "text": "Script completed\nWall time 0.1 seconds\nOutput:\n"}]
    [(kind, data)] = of(item, {"type": "custom_tool_call_output", "call_id": "c", "output": output})
    assert (kind, data) == ("tool_use", {"toolName": "exec", "inputPreview": script, "ok": True})


def test_tools_can_be_in_the_first_item():
    offer = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]}
    assert request(tools=[], input=[offer, context(), user("Fix it.")]).has_tools
    assert not request(user("Fix it."), tools=[{"type": "web_search"}]).has_tools


COMPLETED = "Script completed\nWall time 0.1 seconds\nOutput:\n"


def script(call_id, source, output, *printed):
    """A script of code mode, and its result."""
    parts = [{"type": "input_text", "text": each} for each in (output, *printed)]
    return [
        {"type": "custom_tool_call", "name": "exec", "input": source, "call_id": call_id},
        {"type": "custom_tool_call_output", "call_id": call_id, "output": parts},
    ]


def test_a_script_gives_the_patches_that_certainly_ran():
    patch_text = "*** Begin Patch\\n*** Add File: new.py\\n+x\\n*** End Patch"
    source = f'const patch = "{patch_text}";\ntext(await tools.apply_patch(patch));'
    whole, created = outcomes(user("Fix it."), *script("c", source, COMPLETED, "{}"))[1:]
    assert (whole[0], whole[1]["toolName"]) == ("tool_use", "exec")
    assert (created[0], created[1]["path"], created[1]["content"]) == ("file_create", "new.py", "x\n")
    assert (created[1]["toolUseId"], created[1]["parentToolUseId"]) == ("c:0", "c")


PRINTED = '{"chunk_id":"1a","wall_time_seconds":0.25,"exit_code":3,"original_token_count":1,"output":"no\\n"}'


def test_a_script_gives_its_command_if_it_printed_the_exit_code():
    source = 'text(await tools.exec_command({cmd: "make test"}));'
    _, (kind, data) = of(*script("c", source, COMPLETED, PRINTED))
    assert kind == "command"
    assert data == {
        "command": "make test",
        "exitCode": 3,
        "stdout": "no\n",
        "durationMs": 250,
        "parentToolUseId": "c",
    }


def test_a_script_that_runs_longer_gives_its_command_when_it_ends():
    source = 'text(await tools.exec_command({cmd: "make test"}));'
    waiting = call("c2", "wait", cell_id="5")
    ended = {"type": "function_call_output", "call_id": "c2"} | {
        "output": [{"type": "input_text", "text": COMPLETED}]
    }
    ended["output"].append({"type": "input_text", "text": PRINTED})
    running = script("c1", source, "Script running with cell ID 5\nWall time 0.5 seconds\nOutput:\n")
    *_, (kind, data) = outcomes(user("Fix it."), *running, waiting, ended)
    assert (kind, data["toolUseId"], data["command"], data["exitCode"]) == ("command", "c1:0", "make test", 3)


UNCERTAIN = {
    "failed": (
        'text(await tools.exec_command({cmd: "ls"}));',
        "Script failed\nWall time 0.1 seconds\nOutput:\n",
    ),
    "still runs": ('text(await tools.exec_command({cmd: "ls"}));', "Script running with cell ID 5\n"),
    "prints something else": ('text((await tools.exec_command({cmd: "ls"})).exit_code);', COMPLETED),
    "decides": ('if (x) text(await tools.exec_command({cmd: "ls"}));', COMPLETED),
    "computes": ('text(await tools.exec_command({cmd: "ls " + x}));', COMPLETED),
    "does not wait": (
        'tools.apply_patch("*** Begin Patch\\n*** Add File: a\\n+b\\n*** End Patch");',
        COMPLETED,
    ),
}


@pytest.mark.parametrize(("source", "output"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_script_gives_nothing_that_is_uncertain(source, output):
    printed = [PRINTED] if "exit_code" not in source else ["3"]
    events = of(*script("c", source, output, *printed))
    assert [kind for kind, _ in events] == ["tool_use"]
