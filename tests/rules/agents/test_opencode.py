"""opencode's tools and user messages, in the Messages API."""

from itertools import chain, count

import pytest

from tests.rules.agents import messages
from tests.rules.agents.changed_files import apply_changes
from tests.rules.agents.messages import USAGE, assistant, call, response, result, turns, user

HEADERS = {"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.46", "x-session-id": "ses_0a1b2c3d"}
SYSTEM = [messages.text("You help.\n<env>\n  Working directory: /shop\n</env>")]
EDITED, WRITTEN = "Edit applied successfully.", "Wrote file successfully."


def request(*conversation):
    return messages.request(*conversation, headers=HEADERS, system=SYSTEM)


def recorded(*steps):
    """Return the kind and data of tool outcomes, without call ids."""
    conversation = [user("Fix it."), *chain(*((assistant(block), user(output)) for block, output in steps))]
    _prompt, *later = reversed(list(turns(request(*conversation))))
    return [
        (event.kind, {name: value for name, value in event.data.items() if name != "toolUseId"})
        for event in chain(*later)
        if event.kind != "tool_intent"
    ]


NUMBERS = count()


def step(tool, output, /, is_error=None, **arguments):
    call_id = f"call_{next(NUMBERS)}"
    return call(call_id, tool, **arguments), result(call_id, output, is_error)


def file_output(path, content, end=None):
    """Return the result of reading a file."""
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
def test_commands_do_not_include_an_exit_code(output, stdout):
    assert recorded(step("bash", output, command="make test")) == [
        ("command", {"command": "make test", "stdout": stdout})
    ]


BASE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a + b\n"


def test_applying_changes_yields_the_final_files(tmp_path):
    (tmp_path / "calc.py").write_text(BASE)
    (tmp_path / "old.py").write_text("x\n")
    patch = (
        "*** Begin Patch\n*** Update File: calc.py\n@@ def sub(a, b):\n-    return a + b\n+    return b - a\n"
        "*** Add File: new.py\n+x\n*** Delete File: old.py\n*** End Patch"
    )
    events = recorded(
        step("read", file_output("/shop/calc.py", BASE), filePath="/shop/calc.py"),
        step("edit", EDITED, filePath="/shop/calc.py", oldString="a - b", newString="a + b"),
        step("write", WRITTEN, filePath="/shop/pkg/new.py", content="y = 1\n"),
        step("write", WRITTEN, filePath="/shop/pkg/new.py", content="y = 2"),
        step("apply_patch", "Success. Updated the following files:\nM calc.py", patchText=patch),
        step("edit", EDITED, filePath="/shop/calc.py", oldString="b", newString="c", replaceAll=True),
    )
    calc = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return b - a\n".replace("b", "c")
    assert apply_changes(tmp_path, events) == {"calc.py": calc, "new.py": "x\n", "pkg/new.py": "y = 2"}


def test_file_reads_include_the_length():
    data = {"path": "calc.py", "contentLength": len(BASE), "numLines": 6}
    assert recorded(step("read", file_output("/shop/calc.py", BASE), filePath="/shop/calc.py")) == [
        ("file_read", data)
    ]


@pytest.mark.parametrize(
    "output",
    ["Image read successfully", file_output("/shop/a", "x" * 2000 + "... (line truncated to 2000 chars)")],
)
def test_reads_of_incomplete_files_exclude_the_length(output):
    assert recorded(step("read", output, filePath="/shop/a")) == [("file_read", {"path": "a"})]


def test_overwriting_a_partly_known_file_is_a_partial_change():
    part = file_output("/shop/a", "x\ny\n", "Showing lines 1-2 of 9. Use offset=3 to continue.")
    events = recorded(
        step("read", part, filePath="/shop/a"), step("write", WRITTEN, filePath="/shop/a", content="z\n")
    )
    assert (events[1][0], events[1][1]["isPartial"], events[1][1]["content"]) == ("file_diff", True, "z\n")


def test_an_edit_of_an_unknown_file_is_a_partial_change():
    [(kind, data)] = recorded(step("edit", EDITED, filePath="/shop/a", oldString="x", newString="y"))
    assert kind == "file_diff"
    assert (data["path"], data["oldString"], data["newString"], data["isPartial"]) == ("a", "x", "y", True)


@pytest.mark.parametrize("is_error", [True, None])
@pytest.mark.parametrize("tool", ["edit", "write", "apply_patch"])
def test_a_failed_change_is_a_tool_use(tool, is_error):
    [(kind, data)] = recorded(
        step(tool, "Could not find oldString in the file.", is_error, filePath="/shop/a")
    )
    assert (kind, data["toolName"], data["ok"]) == ("tool_use", tool, False)


ITEMS = [{"content": "one", "status": "completed", "priority": "high"}]
DIRECTORY = "<path>/shop/pkg</path>\n<type>directory</type>\n<entries>\na.py\n</entries>"
OTHER_TOOLS = {
    "directory": (step("read", DIRECTORY, filePath="/shop/pkg"), ("dir_list", {"path": "pkg"})),
    "search": (
        step("grep", "Found 3 matches\n/shop/a:", pattern="x"),
        ("file_search", {"toolName": "grep", "pattern": "x", "resultsCount": 3}),
    ),
    "to-do list": (
        step("todowrite", "[]", todos=ITEMS),
        ("planning", {"toolName": "todowrite", "todos": ITEMS, "itemCount": 1}),
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
def test_each_tool_maps_to_an_event_kind(call_and_result, event):
    assert recorded(call_and_result) == [event]


def test_unavailable_tool_is_a_failed_tool_use():
    output = "The arguments provided to the tool are invalid: Model tried to call unavailable tool 'x'."
    [(kind, data)] = recorded(step("invalid", output, tool="x"))
    assert (kind, data["ok"]) == ("tool_use", False)


def test_a_rejected_call_is_an_interrupt():
    output = "The user rejected permission to use this specific tool call."
    [(kind, data)] = recorded(step("bash", output, True, command="rm -r ."))
    assert (kind, data["variant"], data["cutTool"]) == ("interrupt", "tool_use", "bash")


def test_interrupted_command_is_followed_by_an_interrupt():
    command, interrupt = recorded(step("bash", "Tool execution aborted", True, command="sleep 30"))
    assert command == ("command", {"command": "sleep 30"})
    assert (interrupt[0], interrupt[1]["cutTool"]) == ("interrupt", "bash")


@pytest.mark.parametrize(
    "text",
    [
        'Called the Read tool with the following input: {"filePath":"/shop/a"}',
        file_output("/shop/a", "x\n"),
        "<system-reminder>\nPlan mode is active.\n</system-reminder>",
        "Continue if you have next steps, or stop and ask for clarification if you are unsure how to proceed.",
        "Attached media from tool result:",
    ],
)
def test_injected_text_is_not_a_prompt(text):
    latest = request(user("Hi"), assistant("Yes"), user(text, "Go on.")).latest_events()
    assert [(event.kind, event.data) for event in latest[1:]] == [("prompt", {"text": "Go on."})]


def test_a_summary_is_not_an_answer_and_does_not_repeat_events():
    summary = [user("What did we do so far?"), assistant("We fixed it."), user("Go on.")]
    later = [*summary, assistant("Done."), user("More.")]
    assert [[event.data for event in turn] for turn in turns(request(*summary))] == [[{"text": "Go on."}]]
    assert [[event.data for event in turn] for turn in turns(request(*later))] == [[{"text": "More."}]]


def test_a_summary_can_follow_uncompacted_turns():
    block, output = step("bash", "1\n", command="ls")
    kept = [user("Fix it."), assistant(block), user(output)]
    summary = [
        user("What did we do so far?", "Go on."),
        assistant("We fixed it."),
        user("Continue if you have next steps, or stop and ask for clarification."),
    ]
    latest, first = turns(request(*kept, *summary))
    assert [event.kind for event in first] == ["prompt"]
    assert [event.kind for event in latest] == ["tool_intent", "command", "prompt"]
    assert latest[2].data == {"text": "Go on."}


def test_equal_answers_after_different_summaries_are_different_events():
    answers = set()
    for summary in ("We began.", "We went on."):
        compacted = request(user("What did we do so far?"), assistant(summary), user("Go on."))
        (answer,) = response("Done.").events(compacted, USAGE)
        answers.add(answer.identity)
    assert len(answers) == 2
