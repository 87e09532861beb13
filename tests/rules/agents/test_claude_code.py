"""Claude Code's tool calls, read as events."""

import pytest

from tests.rules.agents.changed_files import apply_changes
from tests.rules.agents.messages import assistant, call, events, outcomes, result, user

DONE = "The file /shop/a.py has been updated successfully. (file state is current in your context)"
CREATED = "File created successfully at: /shop/a.py"
REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. ...). STOP."


def number_lines(content):
    """Format a file as Read does: it also numbers the empty line after a trailing newline."""
    return "\n".join(f"{number}\t{line}" for number, line in enumerate(content.split("\n"), 1))


def one_event(name, arguments, content, is_error=None):
    (event,) = outcomes((name, arguments, content, is_error))
    assert event.identity == event.data["toolUseId"]
    return event.kind, {key: value for key, value in event.data.items() if key != "toolUseId"}


COMMANDS = [
    ("3 passed", False, {"exitCode": 0, "stdout": "3 passed"}),
    ("(Bash completed with no output)", False, {"exitCode": 0, "stdout": ""}),
    ("Exit code 3\nout\nerr", True, {"exitCode": 3, "stdout": "out\nerr"}),
    ("Exit code 1", True, {"exitCode": 1, "stdout": ""}),
    (
        "Exit code 143\nCommand timed out after 1s",
        True,
        {"exitCode": 143, "stdout": "Command timed out after 1s"},
    ),
    # A successful command can print text that looks like a failure.
    ("Exit code 3\nfake", False, {"exitCode": 0, "stdout": "Exit code 3\nfake"}),
    (
        "Command running in background with ID: b1. More.",
        False,
        {"isBackground": True, "stdout": "Command running in background with ID: b1. More."},
    ),
    (
        "a\n<error>Command was aborted before completion</error>",
        True,
        {"stdout": "a\n<error>Command was aborted before completion</error>"},
    ),
    ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], None, {"exitCode": 0, "stdout": "a\nb"}),
]


@pytest.mark.parametrize(("content", "is_error", "data"), COMMANDS)
def test_commands_include_output_and_exit_code(content, is_error, data):
    assert one_event("Bash", {"command": "make"}, content, is_error) == (
        "command",
        {"command": "make", **data},
    )


@pytest.mark.parametrize(
    "error", ["<tool_use_error>Blocked</tool_use_error>", "Permission to use Bash was denied."]
)
def test_a_denied_command_is_a_failed_tool_use(error):
    kind, data = one_event("Bash", {"command": "x"}, error, True)
    assert (kind, data["toolName"], data["ok"], data["error"]) == ("tool_use", "Bash", False, error)


OTHER_TOOLS = [
    (
        "Read",
        {"file_path": "/shop/a.py"},
        "1\tx\n2\ty\n3\t",
        "file_read",
        {"path": "a.py", "contentLength": 4, "numLines": 2},
    ),
    (
        "Read",
        {"file_path": "/etc/a"},
        "1\tx",
        "file_read",
        {"path": "/etc/a", "contentLength": 1, "numLines": 1},
    ),
    ("Read", {"file_path": "/shop/a.png"}, [{"type": "image", "source": {}}], "file_read", {"path": "a.png"}),
    (
        "Grep",
        {"pattern": "add"},
        "Found 3 files\na\nb\nc",
        "file_search",
        {"toolName": "Grep", "pattern": "add", "resultsCount": 3},
    ),
    ("LS", {"path": "/shop/src"}, "- a", "dir_list", {"path": "src"}),
    (
        "TaskCreate",
        {"subject": "Fix", "description": "Fix it", "activeForm": "Fixing"},
        "Task #4 created successfully: Fix",
        "planning",
        {
            "toolName": "TaskCreate",
            "subject": "Fix",
            "description": "Fix it",
            "activeForm": "Fixing",
            "taskId": "4",
        },
    ),
    (
        "TaskUpdate",
        {"taskId": "4", "status": "completed"},
        "Updated task #4 status",
        "planning",
        {"toolName": "TaskUpdate", "taskId": "4", "status": "completed"},
    ),
    (
        "TodoWrite",
        {"todos": [{"content": "a", "status": "pending"}]},
        "Todos have been modified",
        "planning",
        {"toolName": "TodoWrite", "todos": [{"content": "a", "status": "pending"}], "itemCount": 1},
    ),
    ("TaskList", {}, "#4 [completed] Fix", "planning_read", {"toolName": "TaskList"}),
    (
        "Agent",
        {"prompt": "Look at it", "description": "look", "subagent_type": "Explore"},
        "Fine.",
        "task_dispatch",
        {"taskPreview": "Look at it", "description": "look", "agentType": "Explore"},
    ),
    (
        "WebFetch",
        {"url": "https://a.example"},
        "Text",
        "web_lookup",
        {"toolName": "WebFetch", "url": "https://a.example"},
    ),
    ("WebSearch", {"query": "b"}, "Text", "web_lookup", {"toolName": "WebSearch", "query": "b"}),
    (
        "mcp__db__query",
        {"q": 1},
        "Rows",
        "mcp_call",
        {"tool": "mcp__db__query", "argsPreview": '{"q": 1}', "ok": True},
    ),
    (
        "Skill",
        {"name": "x"},
        "Ran",
        "tool_use",
        {"toolName": "Skill", "inputPreview": '{"name": "x"}', "ok": True},
    ),
    (
        "ExitPlanMode",
        {},
        "User has approved your plan. You can now start coding.\n\n## Approved Plan:\n# Plan\n1. Do it",
        "plan_decision",
        {"planPreview": "# Plan\n1. Do it", "responsePreview": "approved", "approved": True},
    ),
]


@pytest.mark.parametrize(("name", "arguments", "content", "kind", "data"), OTHER_TOOLS)
def test_each_tool_maps_to_an_event_kind(name, arguments, content, kind, data):
    assert one_event(name, arguments, content) == (kind, data)


def test_a_rejected_call_is_an_interrupt():
    kind, data = one_event("Bash", {"command": "rm a"}, REJECTED, True)
    call = {"cutTool": "Bash", "cutToolInput": '{"command": "rm a"}'}
    assert (kind, data) == ("interrupt", {"variant": "tool_use", "subtype": "action"} | call)


def test_feedback_in_a_rejection_is_a_prompt():
    feedback = "The tool use was rejected. To tell you how to proceed, the user said:\nUse mv."
    rejected = f"The user doesn't want to proceed with this tool use. {feedback}"
    interrupt, prompt = outcomes(("Bash", {"command": "rm a"}, rejected, True))
    assert (interrupt.kind, prompt.kind, prompt.data["text"]) == ("interrupt", "prompt", "Use mv.")


def test_a_rejected_plan_is_a_plan_decision():
    data = {"planPreview": "1. Do it", "responsePreview": "rejected", "approved": False}
    assert one_event("ExitPlanMode", {"plan": "1. Do it"}, REJECTED, True) == ("plan_decision", data)


def edit(old, new, **options):
    return ("Edit", {"file_path": "/shop/a.py", "old_string": old, "new_string": new, **options}, DONE, None)


def write(content, answer=DONE):
    return ("Write", {"file_path": "/shop/a.py", "content": content}, answer, None)


def read(content, **arguments):
    return ("Read", {"file_path": "/shop/a.py", **arguments}, content, None)


TEXT = "".join(f"line {number}\n" for number in range(1, 31))
# The file's content before the calls, the calls, and its content after them.
CHANGES = {
    "an edit": (
        TEXT,
        [read(number_lines(TEXT)), edit("line 7\n", "seven\n7\n")],
        TEXT.replace("line 7\n", "seven\n7\n"),
    ),
    "edits on edits": (
        TEXT,
        [read(number_lines(TEXT)), edit("line 7\n", "a\nb\n"), edit("line 20", "c"), edit("a\nb", "d")],
        TEXT.replace("line 7\n", "d\n").replace("line 20", "c"),
    ),
    "each occurrence": (
        "a b\nb\na\n",
        [read("1\ta b\n2\tb\n3\ta\n4\t"), edit("a", "x", replace_all=True)],
        "x b\nb\nx\n",
    ),
    "no newline at the end": ("a\nb", [read("1\ta\n2\tb"), edit("b", "c")], "a\nc"),
    "an older format of Read": ("a\nb\n", [read("     1→a\n     2→b"), edit("b", "c")], "a\nc\n"),
    "unicode": ("日本\n🙂\n", [read("1\t日本\n2\t🙂\n3\t"), edit("🙂", "é")], "日本\né\n"),
    "a line is removed with its line end": (
        "a\nb\nc\n",
        [read("1\ta\n2\tb\n3\tc\n4\t"), edit("b", "")],
        "a\nc\n",
    ),
    "typographic quotes": (
        "say \u201chi\u201d\n",
        [read("1\tsay \u201chi\u201d\n2\t"), edit('say "hi"', 'say "ho"')],
        "say \u201cho\u201d\n",
    ),
    "overwritten": ("a\nb\n", [read("1\ta\n2\tb\n3\t"), write("c")], "c"),
    "a new file": (None, [write("a\nb\n", CREATED)], "a\nb\n"),
    "a new file created by an edit": (None, [edit("", "a\n")], "a\n"),
    "a new file, then changes": (None, [write("a\nb\n", CREATED), edit("b", "c"), write("d\n")], "d\n"),
    "an empty file": (
        "",
        [read("<system-reminder>Warning: the file exists but is shorter than ..."), edit("", "a\n")],
        "a\n",
    ),
    "carriage returns": (None, [write("a\r\nb\r\n", CREATED), edit("b", "c\nd")], "a\r\nc\r\nd\r\n"),
    "lines in the middle": (
        TEXT,
        [read("10\tline 10\n11\tline 11\n12\tline 12", offset=10, limit=3), edit("line 11", "x\ny")],
        TEXT.replace("line 11\n", "x\ny\n"),
    ),
    "lines up to the end": (
        TEXT,
        [read("28\tline 28\n29\tline 29\n30\tline 30\n31\t", offset=28), edit("line 30", "x")],
        TEXT.replace("line 30", "x"),
    ),
    "lines after the whole file": (
        TEXT,
        [
            read(number_lines(TEXT)),
            edit("line 2\n", ""),
            read("10\tline 11\n11\tline 12", offset=10, limit=2),
            edit("line 25", "x"),
        ],
        TEXT.replace("line 2\n", "").replace("line 25", "x"),
    ),
    "a failed edit": (
        "a\nb\n",
        [read("1\ta\n2\tb\n3\t"), (*edit("z", "y")[:2], "Not found", True), edit("b", "c")],
        "a\nc\n",
    ),
}


@pytest.mark.parametrize(("before", "calls", "after"), CHANGES.values(), ids=CHANGES)
def test_applying_changes_yields_the_final_file(before, calls, after, tmp_path):
    if before is not None:
        (tmp_path / "a.py").write_bytes(before.encode())
    changes = [(event.kind, event.data) for event in outcomes(*calls)]
    assert apply_changes(tmp_path, changes) == {"a.py": after}


def test_write_creates_new_files_and_changes_known_files():
    created, changed = outcomes(write("a\n", CREATED), write("b\n"))
    assert (created.kind, created.data["content"], created.data["linesAdded"]) == ("file_create", "a\n", 1)
    assert (changed.kind, changed.data["linesAdded"], changed.data["linesRemoved"]) == ("file_diff", 1, 1)


PARTIAL = {
    "unknown file": [edit("old", "new")],
    "other lines known": [read("10\tline 10\n11\tline 11", offset=10, limit=2), edit("old", "new")],
    "at the edge of the known lines": [read("10\told\n11\tb\n12\tc", offset=10, limit=3), edit("old", "new")],
    "each occurrence in known lines": [
        read("10\tb\n11\told\n12\tc", offset=10, limit=3),
        edit("old", "new", replace_all=True),
    ],
    "twice in the file": [read("1\told\n2\told\n3\t"), edit("old", "new")],
}


@pytest.mark.parametrize("calls", PARTIAL.values(), ids=PARTIAL)
def test_a_change_in_unknown_text_is_partial(calls):
    change = outcomes(*calls)[-1]
    assert (change.kind, change.data["isPartial"]) == ("file_diff", True)
    assert (change.data["oldString"], change.data["newString"]) == ("old", "new")
    assert "-old\n+new\n" in change.data["diff"]


def test_overwriting_an_unknown_file_is_a_partial_change():
    (change,) = outcomes(write("a\nb\n"))
    assert (change.kind, change.data["isPartial"], change.data["content"]) == ("file_diff", True, "a\nb\n")
    assert (change.data["linesAdded"], change.data["linesRemoved"]) == (2, 0)


def test_only_quoted_lines_are_known_after_the_user_changes_a_file():
    note = "Note: /shop/a.py was modified, either by the user or by a linter. Changes (shown with line numbers):\n"
    messages = [
        user("Do it."),
        assistant(call("t1", "Read", file_path="/shop/a.py")),
        user(result("t1", number_lines(TEXT))),
        {"role": "system", "content": f"{note}5\tfive\n6\tsix\n7\tseven"},
    ]
    for call_id, old in (("t2", "six"), ("t3", "line 2\n")):
        name, arguments, content, _ = edit(old, "new")
        messages += [assistant(call(call_id, name, **arguments)), user(result(call_id, content))]
    exact, partial = [event.data for event in events(*messages) if event.kind == "file_diff"]
    assert exact["diff"].endswith("@@ -5,3 +5,3 @@\n five\n-six\n+new\n seven\n")
    assert ("isPartial" in exact, partial["isPartial"]) == (False, True)


ATTACHED = 'Called the Read tool with the following input: {"file_path":"/shop/a.py"}\n'
ATTACHMENTS = {
    "one text": [
        f"<system-reminder>\n{ATTACHED}Result of calling the Read tool:\n1\told\n2\t\n\nMore.</system-reminder>"
    ],
    "two reminders": [
        f"<system-reminder>\n{ATTACHED}</system-reminder>\n",
        "<system-reminder>\nResult of calling the Read tool:\n1\told\n2\t\n</system-reminder>",
    ],
}


@pytest.mark.parametrize("texts", ATTACHMENTS.values(), ids=ATTACHMENTS)
def test_an_attached_file_is_known(texts):
    (change,) = outcomes(edit("old", "new"), before=[user(*texts)])
    assert change.data["diff"].endswith("@@ -1 +1 @@\n-old\n+new\n")
    assert "isPartial" not in change.data


def test_a_notebook_edit_is_a_partial_change():
    arguments = {"notebook_path": "/shop/n.ipynb", "new_source": "print(2)", "cell_id": "c1"}
    kind, data = one_event("NotebookEdit", arguments, "Updated cell c1 with print(2)")
    assert (kind, data["path"], data["newString"]) == ("file_diff", "n.ipynb", "print(2)")
    assert data["isPartial"]
