"""Unified diffs, checked by applying them with git."""

import subprocess
import time
import tracemalloc

import pytest

from rules.agents.files import diffs
from rules.agents.files.diffs import unified_diff

NUMBERS = "".join(f"{number}\n" for number in range(1, 41))

CHANGES = {
    "a line": ("a\nb\nc\n", "a\nB\nc\n"),
    "the first line": (NUMBERS, "one" + NUMBERS[1:]),
    "the last line": (NUMBERS, NUMBERS[:-3] + "forty\n"),
    "far apart": (NUMBERS, NUMBERS.replace("\n3\n", "\nthree\n").replace("\n33\n", "\n33\nx\ny\n")),
    "inserted at the start": ("a\nb\n", "x\na\nb\n"),
    "inserted at the end": ("a\nb\n", "a\nb\nx\n"),
    "a repeated line added": ("a\na\na\n", "a\na\na\na\n"),
    "all lines removed": ("a\nb\n", ""),
    "an empty file filled": ("", "a\nb\n"),
    "line end added": ("a\nb", "a\nb\n"),
    "line end removed": ("a\nb\n", "a\nb"),
    "no line end at all": ("a\nb", "a\nc"),
    "no line end, change above": ("a\nb\nc", "A\nb\nc"),
    "empty lines": ("\n\n\na\n\n", "\n\na\n\n\n"),
    "carriage returns": ("a\r\nb\r\nc\r\n", "a\r\nB\r\nc\r\n"),
    "to carriage returns": ("a\nb\n", "a\r\nb\r\n"),
    "a carriage return in a line": ("a\rb\nc\n", "a\rb\nd\n"),
    "non-newline separators": ("a\u2028b\x0bc\x0cd\x85e\nf\n", "a\u2028b\x0bc\x0cd\x85e\ng\n"),
    "unicode": ("Grüße\n日本\n🙂\n", "Grüße\n日本語\n🙂\n"),
    "looks like a diff": ("--- a\n+++ b\n@@ -1 +1 @@\n", "--- a\n+++ c\n@@ -1 +1 @@\n-x\n"),
    "large and all different": (NUMBERS * 20, "x" + NUMBERS.replace("\n", "\nx") * 20),
}


def git_apply(folder, diff):
    return subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=folder, capture_output=True)


@pytest.mark.parametrize("split_lines", [diffs.MAX_SPLIT_LINES, -1], ids=["lines", "texts"])
@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES)
def test_applying_a_diff_yields_the_new_text(before, after, split_lines, tmp_path, monkeypatch):
    monkeypatch.setattr(diffs, "MAX_SPLIT_LINES", split_lines)
    file = tmp_path / "file.txt"
    file.write_bytes(before.encode())
    change = unified_diff("file.txt", before, after)
    result = git_apply(tmp_path, change.diff)
    # Git deletes a file that becomes empty after applying a plain diff.
    assert (result.returncode, file.read_bytes() if file.exists() else b"") == (0, after.encode())


def test_a_new_file_is_created(tmp_path):
    change = unified_diff("folder/new file.py", None, "a\nb")
    assert git_apply(tmp_path, change.diff).returncode == 0
    assert (tmp_path / "folder/new file.py").read_bytes() == b"a\nb"
    assert (change.lines_added, change.lines_removed) == (2, 0)


def test_a_deleted_file_is_removed(tmp_path):
    (tmp_path / "old.py").write_bytes(b"a\nb\n")
    change = unified_diff("old.py", "a\nb\n", None)
    assert git_apply(tmp_path, change.diff).returncode == 0
    assert not (tmp_path / "old.py").exists()
    assert (change.lines_added, change.lines_removed) == (0, 2)


def test_a_partial_text_keeps_its_line_numbers():
    change = unified_diff("a", "10\n11\n12\n", "10\nx\ny\n12\n", first_line=10)
    assert change.diff == "--- a/a\n+++ b/a\n@@ -10,3 +10,4 @@\n 10\n-11\n+x\n+y\n 12\n"
    assert (change.lines_added, change.lines_removed) == (2, 1)


def test_identical_texts_have_no_hunks():
    assert unified_diff("a", "x\n", "x\n") == ("--- a/a\n+++ b/a\n", 0, 0)


def test_a_newline_in_a_path_is_replaced():
    assert unified_diff("a\n@@ b", "x\n", "y\n").diff.startswith(
        "--- a/a?@@ b\t\n+++ b/a?@@ b\t\n@@ -1 +1 @@\n"
    )


def test_repeated_lines_are_compared_quickly():
    before = "".join(f"{'ab'[number % 3 % 2]}\n" for number in range(20_000))
    start = time.process_time()
    change = unified_diff("a", before, before.replace("a\nb\n", "b\na\n"))
    assert time.process_time() - start < 1
    assert change.lines_added == change.lines_removed > 0


def test_a_few_lines_repeated_often_are_compared_quickly():
    old, new = "a\nx\n" * 600, "a\ny\n" * 100
    start = time.process_time()
    change = unified_diff("f", old, new)
    assert time.process_time() - start < 1
    assert change.lines_removed - change.lines_added == 1000


def test_distant_changes_in_a_large_file_have_a_small_diff():
    before = "".join(f"{number}\n" for number in range(10_000))
    change = unified_diff("a", before, before.replace("\n100\n", "\nx\n").replace("\n9900\n", "\ny\n"))
    assert (change.lines_added, change.lines_removed) == (2, 2)


def test_a_change_in_a_large_file_keeps_its_line_numbers_and_context():
    before = "".join(f"{number}\n" for number in range(1, diffs.MAX_SPLIT_LINES + 10))
    change = unified_diff("a", before, before.replace("\n100\n", "\nx\ny\n"))
    lines = [" 97", " 98", " 99", "-100", "+x", "+y", " 101", " 102", " 103"]
    assert change.diff == "\n".join(["--- a/a", "+++ b/a", "@@ -97,7 +97,8 @@", *lines, ""])
    assert (change.lines_added, change.lines_removed) == (2, 1)


def test_a_million_short_lines_take_little_memory():
    text = "x\n" * 1_000_000
    tracemalloc.start()
    change = unified_diff("a", "a\n", text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (change.lines_added, change.lines_removed) == (1_000_000, 1)
    assert peak < 10 * len(text)
