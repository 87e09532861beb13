"""What came out of a session: files, commands, plans."""

import pytest

from rules import artifacts
from rules.artifacts import Artifacts, Happening

EDITOR = {"channel": "ide-extension", "integration": "vscode"}


def happened(kind, data, at=0, source="claude-code", attribution="likely_ai"):
    name = source if isinstance(source, str) else "vscode"
    envelope = {"kind": kind, "source": source, "data": data}
    return Happening(f"{kind} at {at}", at, kind, name, "ai", attribution, envelope)


def taken(*events):
    found = Artifacts()
    for event in events:
        found.take(event)
    return found


def edit(path, diff, at=0, **more):
    return happened("file_diff", {"path": path, "diff": diff, "linesAdded": 2, "linesRemoved": 1}, at, **more)


def test_files_are_sorted_by_path_with_all_their_changes():
    first, second = taken(edit("b", "1", 0), edit("a", "2", 1), edit("b", "3", 2)).files
    assert (first["path"], second["path"]) == ("a", "b")
    assert [change["event_id"] for change in second["changes"]] == ["file_diff at 0", "file_diff at 2"]
    assert (second["lines_added"], second["lines_removed"], second["diff"]) == (4, 2, "3")


def test_a_file_shows_the_content_that_was_written_last_or_the_last_edit():
    written = happened("file_diff", {"path": "a", "content": "all of it", "diff": "+all of it"}, 1)
    assert [(file["content"], file["diff"]) for file in taken(edit("a", "x", 0), written).files] == [
        ("all of it", None)
    ]
    assert [(file["content"], file["diff"]) for file in taken(written, edit("a", "x", 2)).files] == [
        (None, "x")
    ]


def test_a_file_says_by_whom_it_was_changed():
    (file,) = taken(
        edit("a", "1"),
        edit("a", "2"),
        edit("a", "3", attribution="likely_human"),
        edit("a", "", attribution=None),
    ).files
    assert file["attributions"] == {"likely_ai": 2, "likely_human": 1, "unknown": 1}


@pytest.mark.parametrize(
    "last",
    [happened("file_delete", {"path": "a"}), happened("file_diff", {"path": "a", "changeType": "delete"})],
)
def test_a_deleted_file_is_deleted_until_it_is_written_again(last):
    assert [file["is_deleted"] for file in taken(edit("a", "x"), last).files] == [True]
    assert [file["is_deleted"] for file in taken(last, edit("a", "x")).files] == [False]


def test_long_contents_are_cut_and_say_so():
    (file,) = taken(edit("a", "x" * 30_000)).files
    assert (len(file["diff"]), file["is_cut"]) == (artifacts.LONGEST_CONTENT, True)


def test_all_contents_together_are_bounded(monkeypatch):
    monkeypatch.setattr(artifacts, "MOST_CONTENT", 25)
    files = taken(*(edit(name, "x" * 10) for name in "abcd")).files
    assert [len(file["diff"] or "") for file in files] == [10, 10, 5, 0]
    assert [file["is_cut"] for file in files] == [False, False, True, True]


def test_the_latest_content_takes_the_room_of_the_one_before(monkeypatch):
    monkeypatch.setattr(artifacts, "MOST_CONTENT", 10)
    (file,) = taken(*(edit("a", "x" * 10, at) for at in range(5))).files
    assert (file["diff"], file["is_cut"]) == ("x" * 10, False)


def test_what_the_editor_reports_again_is_left_out():
    again = [
        happened("file_create", {"path": "b"}, source=EDITOR),
        happened("command", {"command": "go"}, source=EDITOR),
    ]
    alone = taken(*again)
    assert ([file["path"] for file in alone.files], len(alone.commands)) == (["b"], 1)
    found = taken(*again, edit("a", "x"), happened("command", {"command": "go test ./..."}))
    assert [file["path"] for file in found.files] == ["a"]
    assert [command["command"] for command in found.commands] == ["go test ./..."]


def test_commands_say_what_they_verify_and_how_they_ended():
    found = taken(
        happened("command", {"command": "go test", "exitCode": 1, "durationMs": 2000}),
        happened("command", {"command": "ls"}),
        happened("command", {"exitCode": 2**70}),
    ).commands
    shown = [(row["command"], row["verifies"], row["exit_code"], row["duration_ms"]) for row in found]
    assert shown == [("go test", "test", 1, 2000), ("ls", None, None, None), (None, None, None, None)]


def todos(at, *steps, **meta):
    data = {"todos": [{"content": words, "status": status} for words, status in steps], "meta": meta}
    return happened("planning", data, at)


def test_a_plan_is_shown_as_it_stood_at_last():
    (plan,) = taken(
        todos(0, ("A", "in_progress"), ("B", "pending")),
        todos(5, ("A", "completed"), ("B", "in_progress"), ("C", "pending")),
    ).plans
    assert (plan["began"], plan["changed"], plan["versions"], plan["event_id"]) == (0, 5, 2, "planning at 5")
    assert [(step["step"], step["status"]) for step in plan["steps"]] == [
        ("A", "completed"),
        ("B", "in_progress"),
        ("C", "pending"),
    ]


def test_a_list_that_shares_no_step_with_the_one_before_is_another_plan():
    assert [
        plan["versions"] for plan in taken(todos(0, ("A", "completed")), todos(1, ("B", "pending"))).plans
    ] == [1, 1]


def test_two_agents_have_plans_of_their_own():
    found = taken(todos(0, ("A", "pending"), ideSessionId="x"), todos(1, ("A", "pending"), ideSessionId="y"))
    assert len(found.plans) == 2


def test_codex_calls_them_steps():
    (plan,) = taken(
        happened("planning", {"todos": [{"step": "A", "status": "pending"}]}, source="codex")
    ).plans
    assert plan["steps"] == [{"step": "A", "status": "pending", "task_id": None}]


def test_tasks_that_are_added_one_by_one_are_one_plan():
    create = [
        happened("planning", {"toolName": "TaskCreate", "subject": subject}, at)
        for at, subject in enumerate("AB")
    ]
    update = happened("planning", {"toolName": "TaskUpdate", "taskId": "1", "status": "completed"}, 2)
    unknown = happened("planning", {"toolName": "TaskUpdate", "taskId": "9", "status": "in_progress"}, 3)
    looked_at = happened("planning", {"toolName": "TaskGet", "taskId": "8"}, 4)
    (plan,) = taken(*create, update, unknown, looked_at).plans
    assert [(step["task_id"], step["step"], step["status"]) for step in plan["steps"]] == [
        ("1", "A", "completed"),
        ("2", "B", "pending"),
        ("9", None, "in_progress"),
    ]


@pytest.mark.parametrize("data", [{}, {"path": 5}, {"todos": [None, {}, 7]}, {"todos": {}}, {"command": []}])
@pytest.mark.parametrize("kind", sorted(artifacts.KINDS))
def test_events_may_lack_anything(kind, data):
    taken(happened(kind, data))
