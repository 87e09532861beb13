"""Matching lines of the final diff with lines added by agents."""

import tracemalloc

import pytest

from rules.metrics.agent_lines import (
    AgentLines,
    added_lines,
    collapse_ranges,
    expand_ranges,
    line_digest,
    split_digests,
)

DIFF = "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,4 @@\n one\n-two\n+TWO\n+++ three\n four\n@@ -9 +10 @@\n-x\n+y\n"


def event(kind="file_diff", attribution="likely_ai", **data):
    return {"kind": kind, "provenance": {"attribution": attribution}, "data": {"path": "a.py"} | data}


@pytest.mark.parametrize(
    ("envelope", "lines"),
    [
        (event(diff=DIFF), ["TWO", "++ three", "y"]),
        (event(diff="diff --git a/a.py b/a.py\nnew file mode 100644\n" + DIFF), ["TWO", "++ three", "y"]),
        (event(diff="*** Update File: a.py\n@@ def f():\n-a\n+b\n*** End Patch\n+no"), ["b"]),
        (event(diff="@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n+no"), ["b"]),
        (event(diff="@@ -0,0 +1,2 @@\n+a\r\n+b"), ["a\r", "b"]),
        (event(oldString="a\nb", newString="a\nc\na"), ["a", "c"]),
        (event(diff="no hunk", newString="a"), ["a"]),
        (event("file_create", content="a\nb"), ["a", "b"]),
        (event("file_create"), []),
    ],
)
def test_added_lines_are_read_from_agent_changes(envelope, lines):
    path, added = added_lines(envelope)
    assert (path, sorted(added)) == ("a.py", sorted(lines))


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        [],
        {},
        event(attribution="likely_human", diff=DIFF),
        event(attribution="mixed", diff=DIFF),
        event("file_delete"),
        event(path=7, diff=DIFF),
        {"kind": ["file_diff"], "data": 1, "provenance": 2},
    ],
)
def test_other_events_have_no_added_lines(envelope):
    assert added_lines(envelope) is None


@pytest.mark.parametrize("diff", [7, None, "@@", "@@ -1,999999999 +1 @@\n-", "@@ -0 +0 @@\n+a", "+\n" * 3])
def test_an_invalid_diff_does_not_raise(diff):
    assert added_lines(event(diff=diff)) is not None


def unrecorded(lines, path, added):
    return list(lines.unrecorded_lines(path, enumerate(map(line_digest, added), 1)))


@pytest.mark.parametrize(
    ("agents", "added", "expected"),
    [
        (["a", "b"], ["a", "b"], []),
        (["a"], ["a", "a"], [2]),  # Each added line accounts for one line.
        (["a"], ["  a\r"], []),  # Surrounding whitespace is ignored.
        ([], ["", "  ", "a"], [3]),  # Blank lines are never counted.
        (["a b"], ["ab"], [1]),
    ],
)
def test_lines_are_compared_without_surrounding_whitespace(agents, added, expected):
    lines = AgentLines(["a.py"], map(line_digest, added))
    lines.add("a.py", agents)
    assert unrecorded(lines, "a.py", added) == expected


@pytest.mark.parametrize(
    ("event_path", "expected"),
    [
        ("src/a.py", []),
        ("./src/a.py", []),
        ("/home/alice/orders/src/a.py", []),
        ("C:\\orders\\src\\a.py", []),
        ("lib/a.py", [1]),
        ("a.py", []),  # Ambiguous: accounts for a line at any path.
        ("b.py", []),  # The agent works in src/.
    ],
)
def test_an_events_path_can_be_absolute_or_relative_to_a_folder(event_path, expected):
    lines = AgentLines(["src/a.py", "test/a.py", "src/b.py", "lib/a.py"], [line_digest("x")])
    lines.add(event_path, ["x"])
    assert unrecorded(lines, "src/b.py" if event_path == "b.py" else "src/a.py", ["x"]) == expected


def test_lines_of_a_removed_path_match_any_path():
    lines = AgentLines(["new.py", "other.py"], map(line_digest, "xy"))
    lines.add("old.py", ["x", "y"])
    assert unrecorded(lines, "new.py", ["x"]) == []
    assert unrecorded(lines, "other.py", ["x", "y"]) == [1]


def test_an_agents_lines_use_memory_only_if_the_final_diff_has_them():
    lines = AgentLines(["a.py"], [line_digest("x")])
    tracemalloc.start()
    for number in range(20):
        lines.add("a.py", map(str, range(number * 1_000, (number + 1) * 1_000)))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 100_000


def test_line_numbers_and_digests_are_collapsed_and_expanded():
    assert collapse_ranges([1, 2, 3, 7, 9, 10]) == [[1, 3], [7, 7], [9, 10]]
    assert list(expand_ranges([[1, 3], [7, 7]])) == [1, 2, 3, 7]
    assert list(split_digests(line_digest("a") + line_digest(""))) == [line_digest("a"), "0" * 24]
