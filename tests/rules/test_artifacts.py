"""A session's artifacts: files, commands, plans."""

import pytest

from rules import artifacts
from rules.artifacts import ArtifactEvent, Artifacts

EDITOR = {"channel": "ide-extension", "integration": "vscode"}


def event(kind, data, at=0, source="claude-code", attribution="likely_ai"):
    name = source if isinstance(source, str) else "vscode"
    envelope = {"kind": kind, "source": source, "data": data}
    return ArtifactEvent(f"{kind} at {at}", at, kind, name, "ai", attribution, envelope)


def edit(path, diff, at=0, **more):
    return event("file_diff", {"path": path, "diff": diff, "linesAdded": 2, "linesRemoved": 1}, at, **more)


def todos(at, *steps, **meta):
    data = {"todos": [{"content": step, "status": status} for step, status in steps], "meta": meta}
    return event("planning", data, at)


def collect(*events):
    found = Artifacts()
    for one in events:
        found.add(one)
    return found


def test_files_are_sorted_by_path_with_all_their_changes():
    first, second = collect(edit("b", "1", 0), edit("a", "2", 1), edit("b", "3", 2)).files
    assert (first["path"], second["path"]) == ("a", "b")
    assert [change["event_id"] for change in second["changes"]] == ["file_diff at 0", "file_diff at 2"]
    assert (second["lines_added"], second["lines_removed"], second["diff"]) == (4, 2, "3")


def test_a_file_has_its_latest_content_or_diff():
    written = event("file_diff", {"path": "a", "content": "all of it", "diff": "+all of it"}, 1)
    (file,) = collect(edit("a", "x", 0), written).files
    assert (file["content"], file["diff"]) == ("all of it", None)
    (file,) = collect(written, edit("a", "x", 2)).files
    assert (file["content"], file["diff"]) == (None, "x")


def test_a_file_counts_the_attributions_of_its_changes():
    attributions = ("likely_ai", "likely_ai", "likely_human", None)
    (file,) = collect(*(edit("a", "1", attribution=each) for each in attributions)).files
    assert file["attributions"] == {"likely_ai": 2, "likely_human": 1, "unknown": 1}


@pytest.mark.parametrize(
    "deletion",
    [event("file_delete", {"path": "a"}), event("file_diff", {"path": "a", "changeType": "delete"})],
)
def test_a_deleted_file_is_deleted_until_it_is_written_again(deletion):
    assert [file["is_deleted"] for file in collect(edit("a", "x"), deletion).files] == [True]
    assert [file["is_deleted"] for file in collect(deletion, edit("a", "x")).files] == [False]


def test_long_content_is_truncated():
    (file,) = collect(edit("a", "x" * 30_000)).files
    assert (len(file["diff"]), file["is_cut"]) == (artifacts.MAX_CONTENT_CHARACTERS, True)


def test_the_content_of_all_files_together_is_limited(monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_TOTAL_CONTENT_CHARACTERS", 25)
    files = collect(*(edit(name, "x" * 10) for name in "abcd")).files
    assert [(len(file["diff"] or ""), file["is_cut"]) for file in files] == [
        *((10, False), (10, False), (5, True), (0, True))
    ]


def test_replaced_content_does_not_count_towards_the_limit(monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_TOTAL_CONTENT_CHARACTERS", 10)
    (file,) = collect(*(edit("a", "x" * 10, at) for at in range(5))).files
    assert (file["diff"], file["is_cut"]) == ("x" * 10, False)


def test_the_editors_events_count_only_without_those_of_another_channel():
    editor = [
        event("file_create", {"path": "b"}, source=EDITOR),
        event("command", {"command": "go"}, source=EDITOR),
    ]
    alone = collect(*editor)
    assert ([file["path"] for file in alone.files], len(alone.commands)) == (["b"], 1)
    both = collect(*editor, edit("a", "x"), event("command", {"command": "go test ./..."}))
    assert [file["path"] for file in both.files] == ["a"]
    assert [command["command"] for command in both.commands] == ["go test ./..."]


def test_commands_have_their_verification_kind_exit_code_and_duration():
    commands = collect(
        event("command", {"command": "go test", "exitCode": 1, "durationMs": 2000}),
        event("command", {"command": "ls"}),
        event("command", {"exitCode": 2**70}),
    ).commands
    names = ("command", "verifies", "exit_code", "duration_ms")
    assert [tuple(command[name] for name in names) for command in commands] == [
        *(("go test", "test", 1, 2000), ("ls", None, None, None), (None, None, None, None))
    ]


def test_a_plan_has_its_last_state():
    (plan,) = collect(
        todos(0, ("A", "in_progress"), ("B", "pending")),
        todos(5, ("A", "completed"), ("B", "in_progress"), ("C", "pending")),
    ).plans
    assert (plan["started_ns"], plan["changed_ns"], plan["versions"]) == (0, 5, 2)
    assert plan["event_id"] == "planning at 5"
    steps = [(step["step"], step["status"]) for step in plan["steps"]]
    assert steps == [("A", "completed"), ("B", "in_progress"), ("C", "pending")]


@pytest.mark.parametrize(
    "events",
    [
        [todos(0, ("A", "completed")), todos(1, ("B", "pending"))],
        [todos(0, ("A", "pending"), ideSessionId="x"), todos(1, ("A", "pending"), ideSessionId="y")],
    ],
    ids=["without a common step", "of two agents"],
)
def test_lists_are_different_plans(events):
    assert [plan["versions"] for plan in collect(*events).plans] == [1, 1]


def test_codex_steps_are_read_from_their_own_member():
    (plan,) = collect(
        event("planning", {"todos": [{"step": "A", "status": "pending"}]}, source="codex")
    ).plans
    assert plan["steps"] == [{"step": "A", "status": "pending", "task_id": None}]


def test_tasks_added_one_by_one_are_one_plan():
    data = [
        {"toolName": "TaskCreate", "subject": "A"},
        {"toolName": "TaskCreate", "subject": "B"},
        {"toolName": "TaskUpdate", "taskId": "1", "status": "completed"},
        {"toolName": "TaskUpdate", "taskId": "9", "status": "in_progress"},
        {"toolName": "TaskGet", "taskId": "8"},
    ]
    (plan,) = collect(*(event("planning", each, at) for at, each in enumerate(data))).plans
    assert [(step["task_id"], step["step"], step["status"]) for step in plan["steps"]] == [
        *(("1", "A", "completed"), ("2", "B", "pending"), ("9", None, "in_progress"))
    ]


@pytest.mark.parametrize("data", [{}, {"path": 5}, {"todos": [None, {}, 7]}, {"todos": {}}, {"command": []}])
@pytest.mark.parametrize("kind", sorted(artifacts.KINDS))
def test_any_member_may_be_missing_or_of_any_type(kind, data):
    collect(event(kind, data))
