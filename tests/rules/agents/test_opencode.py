"""opencode's tools and user messages, in the Messages API, where results have an error flag."""

import subprocess

import pytest

from rules.agents.model_apis import anthropic_messages
from tests.rules.agents import messages
from tests.rules.agents.messages import assistant, result, user

HEADERS = {"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.46", "x-session-id": "ses_0a1b2c3d"}
SYSTEM = [messages.text("You help.\n<env>\n  Working directory: /shop\n</env>")]
EDITED, WRITTEN = "Edit applied successfully.", "Wrote file successfully."


def call(call_id, tool, /, **arguments):
    return {"type": "tool_use", "id": call_id, "name": tool, "input": arguments}


def said(*texts):
    """Kind and data of what is said after an answer."""
    body = {
        "system": SYSTEM,
        "tools": messages.TOOLS,
        "messages": [user("Hi"), assistant("Yes"), user(*texts)],
    }
    latest = next(anthropic_messages.read_request(HEADERS, body).turns())
    return [(event.kind, event.data) for event in latest[1:]]


def of(*steps):
    """Kind and data of the outcomes of calls, each with its result."""
    history = [user("Fix it.")]
    for block, output in steps:
        history += [assistant(block), user(output)]
    body = {"system": SYSTEM, "tools": messages.TOOLS, "messages": history}
    turns = list(anthropic_messages.read_request(HEADERS, body).turns())[::-1]
    events = [event for turn in turns[1:] for event in turn if event.kind != "tool_intent"]
    return [
        (event.kind, {name: value for name, value in event.data.items() if name != "toolUseId"})
        for event in events
    ]


def step(tool, output, /, is_error=None, **arguments):
    step.count += 1
    call_id = f"call_{step.count}"
    return call(call_id, tool, **arguments), result(call_id, output, is_error)


step.count = 0


def shown(path, content, end=None):
    """The result of reading a file."""
    lines = content.removesuffix("\n").split("\n")
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, 1))
    end = end or f"End of file - total {len(lines)} lines"
    return f"<path>{path}</path>\n<type>file</type>\n<content>\n{numbered}\n\n({end})\n</content>"


COMMANDS = {
    "output": ("1\n", "1\n"),
    "no output": ("(no output)", ""),
    "timed out": ("1\n\n<shell_metadata>\nshell tool terminated command\n</shell_metadata>", "1"),
}


@pytest.mark.parametrize(("output", "stdout"), COMMANDS.values(), ids=COMMANDS)
def test_the_exit_code_of_a_command_is_unknown(output, stdout):
    assert of(step("bash", output, command="make test")) == [
        ("command", {"command": "make test", "stdout": stdout})
    ]


BASE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a + b\n"


def test_changes_applied_to_their_base_give_the_final_files(tmp_path):
    (tmp_path / "calc.py").write_text(BASE)
    (tmp_path / "old.py").write_text("x\n")
    patch = (
        "*** Begin Patch\n*** Update File: calc.py\n@@ def sub(a, b):\n-    return a + b\n+    return b - a\n"
        "*** Add File: new.py\n+x\n*** Delete File: old.py\n*** End Patch"
    )
    events = of(
        step("read", shown("/shop/calc.py", BASE), filePath="/shop/calc.py"),
        step("edit", EDITED, filePath="/shop/calc.py", oldString="a - b", newString="a + b"),
        step("write", WRITTEN, filePath="/shop/pkg/new.py", content="y = 1\n"),
        step("write", WRITTEN, filePath="/shop/pkg/new.py", content="y = 2"),
        step("apply_patch", "Success. Updated the following files:\nM calc.py", patchText=patch),
        step("edit", EDITED, filePath="/shop/calc.py", oldString="b", newString="c", replaceAll=True),
    )
    for kind, data in events:
        assert "isPartial" not in data
        if kind in ("file_diff", "file_create"):
            subprocess.run(["git", "apply", "-"], input=data["diff"].encode(), cwd=tmp_path, check=True)
        elif kind == "file_delete":
            (tmp_path / data["path"]).unlink()
    final = {
        str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    calc = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return b - a\n".replace("b", "c")
    assert final == {"calc.py": calc, "new.py": "x\n", "pkg/new.py": "y = 2"}


def test_reading_a_file():
    data = {"path": "calc.py", "contentLength": len(BASE), "numLines": 6}
    assert of(step("read", shown("/shop/calc.py", BASE), filePath="/shop/calc.py")) == [("file_read", data)]


@pytest.mark.parametrize(
    "output", ["Image read successfully", shown("/shop/a", "x" * 2000 + "... (line truncated to 2000 chars)")]
)
def test_a_file_whose_content_is_not_shown(output):
    assert of(step("read", output, filePath="/shop/a")) == [("file_read", {"path": "a"})]


def test_a_part_of_a_file_is_no_base_for_a_new_content():
    part = shown("/shop/a", "x\ny\n", "Showing lines 1-2 of 9. Use offset=3 to continue.")
    events = of(
        step("read", part, filePath="/shop/a"), step("write", WRITTEN, filePath="/shop/a", content="z\n")
    )
    assert (events[1][0], events[1][1]["isPartial"], events[1][1]["content"]) == ("file_diff", True, "z\n")


def test_an_edit_of_an_unknown_file_has_only_its_own_lines():
    [(kind, data)] = of(step("edit", EDITED, filePath="/shop/a", oldString="x", newString="y"))
    assert kind == "file_diff"
    assert (data["path"], data["oldString"], data["newString"], data["isPartial"]) == ("a", "x", "y", True)


@pytest.mark.parametrize("is_error", [True, None])
@pytest.mark.parametrize("tool", ["edit", "write", "apply_patch"])
def test_a_change_that_failed_is_a_tool_use(tool, is_error):
    [(kind, data)] = of(step(tool, "Could not find oldString in the file.", is_error, filePath="/shop/a"))
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", tool, False)


TODOS = [{"content": "one", "status": "completed", "priority": "high"}]
DIRECTORY = "<path>/shop/pkg</path>\n<type>directory</type>\n<entries>\na.py\n</entries>"
OTHER_TOOLS = {
    "directory": (step("read", DIRECTORY, filePath="/shop/pkg"), ("dir_list", {"path": "pkg"})),
    "search": (
        step("grep", "Found 3 matches\n/shop/a:", pattern="x"),
        ("file_search", {"toolName": "grep", "pattern": "x", "resultsCount": 3}),
    ),
    "to-do list": (
        step("todowrite", "[]", todos=TODOS),
        ("planning", {"toolName": "todowrite", "todos": TODOS, "itemCount": 1}),
    ),
    "subagent": (
        step("task", "<task>", prompt="Count.", subagent_type="general"),
        ("task_dispatch", {"taskPreview": "Count.", "agentType": "general"}),
    ),
    "page": (
        step("webfetch", "Transport error", True, url="http://a.example/"),
        ("web_lookup", {"toolName": "webfetch", "url": "http://a.example/"}),
    ),
    "unknown": (
        step("invented", "fine", a=1),
        ("tool_use", {"toolName": "invented", "inputPreview": '{"a": 1}', "ok": True}),
    ),
}


@pytest.mark.parametrize(("call_and_result", "event"), OTHER_TOOLS.values(), ids=OTHER_TOOLS)
def test_other_tools(call_and_result, event):
    assert of(call_and_result) == [event]


def test_a_tool_that_opencode_does_not_have_has_failed():
    output = "The arguments provided to the tool are invalid: Model tried to call unavailable tool 'x'."
    [(kind, data)] = of(step("invalid", output, tool="x"))
    assert (kind, data["ok"]) == ("tool_use", False)


def test_a_rejected_call():
    output = "The user rejected permission to use this specific tool call."
    [(kind, data)] = of(step("bash", output, True, command="rm -r ."))
    assert (kind, data["variant"], data["cutTool"]) == ("interrupt", "tool_use", "bash")


def test_an_interrupted_command():
    command, interrupt = of(step("bash", "Tool execution aborted", True, command="sleep 30"))
    assert command == ("command", {"command": "sleep 30"})
    assert (interrupt[0], interrupt[1]["cutTool"]) == ("interrupt", "bash")


@pytest.mark.parametrize(
    "text",
    [
        'Called the Read tool with the following input: {"filePath":"/shop/a"}',
        shown("/shop/a", "x\n"),
        "<system-reminder>\nPlan mode is active.\n</system-reminder>",
        "Continue if you have next steps, or stop and ask for clarification if you are unsure how to proceed.",
        "Attached media from tool result:",
    ],
)
def test_texts_that_opencode_adds_are_no_prompts(text):
    assert said(text, "Go on.") == [("prompt", {"text": "Go on."})]


def test_a_summary_is_no_answer_and_what_it_replaces_is_not_repeated():
    summary = [user("What did we do so far?"), assistant("We fixed it."), user("Go on.")]
    history = [*summary, assistant("Done."), user("More.")]
    body = {"system": SYSTEM, "tools": messages.TOOLS}
    first = anthropic_messages.read_request(HEADERS, body | {"messages": summary})
    assert [[event.data for event in turn] for turn in first.turns()] == [[{"text": "Go on."}]]
    later = anthropic_messages.read_request(HEADERS, body | {"messages": history})
    assert [[event.data for event in turn] for turn in later.turns()] == [[{"text": "More."}]]


def test_a_summary_can_follow_turns_that_are_kept():
    block, output = step("bash", "1\n", command="ls")
    kept = [user("Fix it."), assistant(block), user(output)]
    summary = [
        user("What did we do so far?", "Go on."),
        assistant("We fixed it."),
        user("Continue if you have next steps, or stop and ask for clarification."),
    ]
    body = {"system": SYSTEM, "tools": messages.TOOLS, "messages": [*kept, *summary]}
    turns = list(anthropic_messages.read_request(HEADERS, body).turns())
    assert [[event.kind for event in turn] for turn in turns] == [
        ["tool_intent", "command", "prompt"],
        ["prompt"],
    ]
    assert turns[0][2].data == {"text": "Go on."}


def test_the_same_answer_after_another_summary_is_another():
    answers = set()
    for summary in ("We began.", "We went on."):
        history = [user("What did we do so far?"), assistant(summary), user("Go on.")]
        body = {"system": SYSTEM, "tools": messages.TOOLS, "messages": history}
        request = anthropic_messages.read_request(HEADERS, body)
        answers.add(messages.response("Done.").events(request, messages.FACTS)[0].identity)
    assert len(answers) == 2
