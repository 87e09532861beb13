"""Unified diffs: correct, small and computed in bounded time."""

import random
import re
from time import perf_counter

import pytest

from rules.events.line_diffs import MAX_COMPARED_LINES, changes, hunks, split_lines


def diff(old, new):
    old, new = split_lines(old), split_lines(new)
    return "".join(hunks(old, new, changes(old, new)))


def apply(old, text):
    """Apply a diff as `patch` does, but require correct line numbers and context."""
    lines, result, at = split_lines(old), [], 0
    for header, body in re.findall(r"(@@ .+? @@)\n(.*?)(?=^@@|\Z)", text, re.DOTALL | re.MULTILINE):
        start, length, new_start, new_length = (
            int(number or 1) for number in re.match(r"@@ -(\d+),?(\d*) \+(\d+),?(\d*) @@", header).groups()
        )
        start -= length > 0
        result += lines[at:start]
        assert len(result) == new_start - (new_length > 0)
        body = split_lines(re.sub(r"\n\\ No newline at end of file\n", "\0\n", body))
        body = [line.removesuffix("\0\n") for line in body]
        old_lines = [line[1:] for line in body if line[0] in " -"]
        assert old_lines == lines[start : start + length]
        new_lines = [line[1:] for line in body if line[0] in " +"]
        assert len(new_lines) == new_length
        result += new_lines
        at = start + length
    return "".join(result + lines[at:])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ""),
        ("a\n", "a\n", ""),
        ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
        ("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"),
        ("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
        ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        ("a\r\n", "a\n", "@@ -1 +1 @@\n-a\r\n+a\n"),
        ("a\x0bb\u2028c\n", "a\n", "@@ -1 +1 @@\n-a\x0bb\u2028c\n+a\n"),
    ],
)
def test_small_diffs(old, new, expected):
    assert diff(old, new) == expected


def test_distant_changes_are_separate_hunks():
    old = "".join(f"{n}\n" for n in range(1, 30))
    new = old.replace("9\n", "x\n", 1)
    assert diff(old, new.replace("15\n", "y\n")).count("@@ -") == 1
    far = diff(old, new.replace("20\n", "y\n"))
    assert re.findall(r"@@.*@@", far) == ["@@ -6,7 +6,7 @@", "@@ -17,7 +17,7 @@"]


def test_random_diffs_apply():
    for seed in range(60):
        chance = random.Random(seed)
        words = ["a", "b", "", "}", *map(str, range(chance.choice([3, 40])))]
        old = [chance.choice(words) for _ in range(chance.randrange(60))]
        new = list(old)
        for _ in range(chance.randrange(8)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(4)] = [chance.choice(words) for _ in range(chance.randrange(4))]
        old, new = ("\n".join(lines) + chance.choice(["", "\n"]) for lines in (old, new))
        assert apply(old, diff(old, new)) == new, seed


def test_large_files_are_compared_by_their_unique_lines():
    old = [f"line {number}" for number in range(3 * MAX_COMPARED_LINES)]
    new = ["first", *old[:MAX_COMPARED_LINES], "between", *old[MAX_COMPARED_LINES + 1 :], "last"]
    texts = ["".join(line + "\n" for line in lines) for lines in (old, new)]
    text = diff(*texts)
    assert apply(texts[0], text) == texts[1]
    assert [line for line in text.splitlines() if line[0] in "+-"] == [
        *("+first", f"-line {MAX_COMPARED_LINES}", "+between", "+last")
    ]


@pytest.mark.parametrize("unique", [True, False])
def test_large_random_files_take_bounded_time(unique):
    chance = random.Random(1)
    words = [str(number) for number in range(100_000)] if unique else ["a", "b"]
    old, new = ([chance.choice(words) + "\n" for _ in range(100_000)] for _ in range(2))
    start = perf_counter()
    result = changes(old, new)
    assert perf_counter() - start < 20
    assert result


def test_repeated_lines_take_bounded_time():
    old, new = ["a\n", "x\n"] * 990, ["a\n", "y\n"] * 990
    start = perf_counter()
    text = diff("first\n" + "".join(old), "other\n" + "".join(new))
    assert perf_counter() - start < 5
    assert apply("first\n" + "".join(old), text) == "other\n" + "".join(new)
