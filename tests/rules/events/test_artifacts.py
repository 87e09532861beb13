"""Artifacts: files, commands and plans."""

import pytest

from rules.events import artifacts
from rules.events.artifacts import ArtifactEvent, Artifacts
from rules.metrics import commands

EDITOR = {"channel": "ide-extension", "integration": "vscode"}


def event(kind, data, at=0, source="claude-code", attribution="likely_ai"):
    envelope = {"kind": kind, "source": source, "data": data}
    return ArtifactEvent(f"{kind} at {at}", at, kind, "claude-code", "ai", attribution, envelope)


def edit(path, diff, at=0, **more):
    return event("file_diff", {"path": path, "diff": diff, "linesAdded": 2, "linesRemoved": 1}, at, **more)


def todos(at, *steps, **meta):
    data = {"todos": [{"content": step, "status": status} for step, status in steps], "meta": meta}
    return event("planning", data, at)


def collect(*events):
    collected = Artifacts()
    for artifact_event in events:
        collected.add(artifact_event)
    return collected


def pick(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_files_are_sorted_by_path_and_list_their_changes():
    edits = [edit("b", "1", 0), edit("a", "2", 1), edit("b", "3", 2, attribution=None)]
    first, second = collect(*edits).files
    assert (first["path"], second["path"]) == ("a", "b")
    assert (second["lines_added"], second["lines_removed"], second["diff"]) == (4, 2, "3")
    assert second["attributions"] == {"likely_ai": 1, "unknown": 1}
    changes = pick(second["changes"], "event_id", "time_ns", "attribution", "lines_added", "lines_removed")
    assert changes == [("file_diff at 0", 0, "likely_ai", 2, 1), ("file_diff at 2", 2, None, 2, 1)]


def test_files_include_the_latest_content_or_diff():
    written = event("file_diff", {"path": "a", "content": "all of it", "diff": "+all of it"}, 1)
    assert pick(collect(edit("a", "x"), written).files, "content", "diff") == [("all of it", None)]
    assert pick(collect(written, edit("a", "x")).files, "content", "diff") == [(None, "x")]


@pytest.mark.parametrize(("kind", "data"), [("file_delete", {}), ("file_diff", {"changeType": "delete"})])
def test_a_file_is_deleted_until_it_is_written_again(kind, data):
    deletion = event(kind, {"path": "a"} | data)
    assert pick(collect(edit("a", "x"), deletion).files, "is_deleted") == [(True,)]
    assert pick(collect(deletion, edit("a", "x")).files, "is_deleted") == [(False,)]


@pytest.mark.parametrize(
    ("edits", "lengths"),
    [
        ([("a", 10), ("b", 10), ("c", 10), ("d", 10)], [(10, False), (10, False), (5, True), (0, True)]),
        ([("a", 10), ("a", 20), ("a", 20), ("b", 10)], [(20, False), (5, True)]),  # replaced content is free
        ([("a", 21)], [(20, True)]),
    ],
)
def test_file_contents_are_truncated(edits, lengths, monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_CONTENT_CHARACTERS", 20)
    monkeypatch.setattr(artifacts, "MAX_TOTAL_CONTENT_CHARACTERS", 25)
    files = collect(*(edit(path, "x" * length) for path, length in edits)).files
    assert [(len(file["diff"] or ""), file["is_cut"]) for file in files] == lengths


def test_other_channels_replace_editor_events():
    kinds = ("file_create", "command")
    editor = [event(kind, {"path": "b", "command": "b"}, source=EDITOR) for kind in kinds]
    others = [event(kind, {"path": "a", "command": "a"}) for kind in kinds]
    for collected, name in ((collect(*editor), "b"), (collect(*editor, *others), "a")):
        assert pick(collected.files, "path") == pick(collected.commands, "command") == [(name,)]


def test_commands_include_verification_kind_exit_code_and_duration():
    tested = {"command": "go test", "exitCode": 1, "durationMs": 2000}
    events = [event("command", data) for data in (tested, {"command": "ls"}, {"exitCode": 2**70})]
    rows = pick(collect(*events).commands, "command", "verifies", "exit_code", "duration_ms")
    assert rows == [("go test", "test", 1, 2000), ("ls", None, None, None), (None, None, None, None)]


def test_commands_over_the_total_length_are_not_classified(monkeypatch):
    monkeypatch.setattr(commands, "MAX_SESSION_CHARACTERS", 2 * len("npm test"))
    collected = collect(*(event("command", {"command": "npm test"}, at) for at in range(3)))
    assert pick(collected.commands, "verifies") == [("test",), ("test",), (None,)]


def test_plans_include_the_latest_state():
    codex = event("planning", {"todos": [{"step": "A", "status": "pending"}]}, source="codex")
    assert collect(codex).plans[0]["steps"] == [{"step": "A", "status": "pending", "task_id": None}]
    last = [("A", "completed"), ("B", "in_progress"), ("C", "pending")]
    (plan,) = collect(todos(0, ("A", "in_progress"), ("B", "pending")), todos(5, *last)).plans
    assert pick([plan], "started_ns", "changed_ns", "versions", "event_id") == [(0, 5, 2, "planning at 5")]
    assert pick(plan["steps"], "step", "status") == last


@pytest.mark.parametrize(("step", "agent"), [("B", "x"), ("A", "y")])
def test_lists_with_different_steps_or_agents_are_separate_plans(step, agent):
    lists = todos(0, ("A", "completed"), ideSessionId="x"), todos(1, (step, "pending"), ideSessionId=agent)
    assert pick(collect(*lists).plans, "versions") == [(1,), (1,)]


def test_single_tasks_form_one_plan():
    data = [
        {"toolName": "TaskCreate", "subject": "A"},
        {"toolName": "TaskCreate", "subject": "B"},
        {"toolName": "TaskUpdate", "taskId": "1", "status": "completed", "subject": "A2"},
        {"toolName": "TaskUpdate", "taskId": "9", "status": "in_progress"},
        {"toolName": "TaskGet", "taskId": "8"},
    ]
    (plan,) = collect(*(event("planning", task, at) for at, task in enumerate(data))).plans
    expected = [("1", "A2", "completed"), ("2", "B", "pending"), ("9", None, "in_progress")]
    assert pick(plan["steps"], "task_id", "step", "status") == expected


def test_plans_are_limited_to_200_steps():
    whole = todos(0, *((str(n), "pending") for n in range(201)))
    tasks = [event("planning", {"subject": str(n)}, n) for n in range(201)]
    assert [len(plan["steps"]) for plan in collect(whole, *tasks).plans] == [200, 200]


@pytest.mark.parametrize("data", [{}, {"path": 5}, {"todos": [None, {}, 7]}, {"todos": {}}, {"command": []}])
@pytest.mark.parametrize("kind", sorted(artifacts.KINDS))
def test_malformed_fields_are_accepted(kind, data):
    collect(event(kind, data))
