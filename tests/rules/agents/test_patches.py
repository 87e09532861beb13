"""Patches in the apply_patch format, applied as in Codex."""

import time

import pytest

from rules.agents.files import patches

BASE = "def one():\n    return 1\n\n\ndef two():\n    return 1\n"


def patch(*lines):
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def update(*lines):
    [change] = patches.parse(patch("*** Update File: f.py", *lines))
    return change.chunks


APPLIED = {
    "a line": (BASE, ["@@", "-    return 1", "+    return 2"], BASE.replace("1", "2", 1)),
    "without a separator": (BASE, ["-    return 1", "+    return 2"], BASE.replace("1", "2", 1)),
    "after a context": (BASE, ["@@ def two():", "-    return 1", "+    return 2"], BASE[:-2] + "2\n"),
    "after two contexts": (
        BASE + BASE,
        ["@@ def two():", "@@ def one():", "-    return 1", "+    return 2"],
        BASE + BASE.replace("1", "2", 1),
    ),
    "two chunks": ("a\nb\nc\nd\n", ["@@", "-a", "+A", "@@", " c", "-d", "+D"], "A\nb\nc\nD\n"),
    "at the end of the file": ("a\nb\na\n", ["@@", "-a", "+A", "*** End of File"], "a\nb\nA\n"),
    "only added lines": ("a\n", ["@@", "+b"], "a\nb\n"),
    "an empty context line without its space": ("a\n\nb\n", ["@@", " a", "", "-b", "+c"], "a\n\nc\n"),
    "trailing spaces": ("a  \nb\n", ["@@", "-a", "+c"], "c\nb\n"),
    "different indentation": ("\ta\nb\n", ["@@", "-    a", "+\tc"], "\tc\nb\n"),
    "typographic characters": ("a \u2013 \u201cb\u201d\n", ["@@", '-a - "b"', "+c"], "c\n"),
    "no line end at the end": ("a\nb", ["@@", "-b", "+c"], "a\nc\n"),
    "carriage returns": ("a\r\nb\r\n", ["@@", "-a", "+c"], "c\nb\r\n"),
    "all lines removed": ("a\n", ["@@", "-a"], ""),
}


@pytest.mark.parametrize(("before", "lines", "after"), APPLIED.values(), ids=APPLIED)
def test_an_update_is_applied(before, lines, after):
    assert patches.apply(before, update(*lines)) == after


@pytest.mark.parametrize("lines", [["@@ nowhere", "-a", "+b"], ["@@", "-c", "+b"], ["@@", " a", " c", "+b"]])
def test_an_update_without_matching_lines_is_not_applied(lines):
    assert patches.apply("a\nb\n", update(*lines)) is None


def test_a_patch_can_change_several_files():
    added, deleted, moved = patches.parse(
        patch(
            "*** Add File: new.py",
            "+a",
            "+",
            "*** Delete File: old.py",
            "*** Update File: here.py",
            "*** Move to: there.py",
            "@@",
            "-a",
            "+b",
        )
    )
    assert (added.action, added.path, added.content) == ("Add", "new.py", "a\n\n")
    assert (deleted.action, deleted.path) == ("Delete", "old.py")
    assert (moved.path, moved.move_to, patches.apply("a\n", moved.chunks)) == ("here.py", "there.py", "b\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*** Begin Patch",
        "no patch",
        patch("*** Add File: a", "no plus"),
        patch("*** Update File: a", "*wrong"),
        "\n".join(["*** Begin Patch", "*** Add File: a", "+b"]),
    ],
)
def test_invalid_patches_are_empty(text):
    assert patches.parse(text) == []


def test_hostile_patches_are_applied_quickly():
    start = time.process_time()
    patches.apply("a\n" * 20_000, update("@@", *["-a"] * 20_000, "-b"))
    patches.apply("a\n" * 1_000, update("@@", *["-a"] * 200, "-b"))
    assert time.process_time() - start < 1


def test_typographic_lines_are_compared_quickly():
    lines = ["-" * 500] * 1000
    chunks = update("@@", *(" " + line.replace("-", "\u2014") for line in lines[1:]), "-b")
    start = time.process_time()
    assert patches.apply("\n".join(lines), chunks) is None
    assert time.process_time() - start < 1
