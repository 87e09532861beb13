"""Unified diffs of one file, as `git apply` and `patch` read them."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT_LINES = 3
NO_NEWLINE = "\\ No newline at end of file\n"
# If the product of the lines that differ is larger, they are replaced as a whole: comparing takes too long.
MAX_COMPARED_PAIRS = 250_000
# Texts of more lines are not split: millions of short lines take a hundred times the memory of their text.
MAX_SPLIT_LINES = 100_000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")

# An operation of difflib: name, first and last line before, first and last line after.
Operation = tuple[str, int, int, int, int]


class Change(NamedTuple):
    """A diff with the numbers of its added and removed lines."""

    diff: str
    lines_added: int
    lines_removed: int


def unified_diff(path: str, before: str | None, after: str | None, first_line: int = 1) -> Change:
    """The change from one text of a file to another; None is a file that does not exist.

    first_line -- the number of the text's first line, if it is only a part of the file
    """
    old, new = before or "", after or ""
    is_large = old.count("\n") + new.count("\n") > MAX_SPLIT_LINES
    change = (_change_of_texts if is_large else _change_of_lines)(old, new, first_line - 1)
    return change._replace(diff=_header(path, before is None, after is None) + change.diff)


def count_lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") if text else 0)


def _change_of_lines(before: str, after: str, offset: int) -> Change:
    old, new = split_lines(before), split_lines(after)
    groups = list(_groups(old, new))
    changes = [operation for group in groups for operation in group if operation[0] != "equal"]
    return Change(
        "".join(_hunk(group, old, new, offset) for group in groups),
        sum(end - start for _, _, _, start, end in changes),
        sum(end - start for _, start, end, _, _ in changes),
    )


def split_lines(text: str) -> list[str]:
    r"""The lines with their `\n`, the only line end that diffs know."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _header(path: str, is_new: bool, is_deleted: bool) -> str:
    name = _UNPRINTABLE.sub("?", path).removeprefix("/")
    old = "/dev/null" if is_new else f"a/{name}"
    new = "/dev/null" if is_deleted else f"b/{name}"
    # A tab ends a name that contains blanks.
    end = "\t" if " " in name else ""
    return f"--- {old}{'' if is_new else end}\n+++ {new}{'' if is_deleted else end}\n"


def _groups(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Operation]]:
    """The operations of each hunk. Only the lines between the first and the last difference are compared."""
    start = _common_prefix(old, new)
    end = _common_prefix(old[start:][::-1], new[start:][::-1])
    start = max(0, start - CONTEXT_LINES)
    end = max(0, end - CONTEXT_LINES)
    some_old, some_new = old[start : len(old) - end], new[start : len(new) - end]
    for group in _compare(some_old, some_new):
        yield [(name, a + start, b + start, c + start, d + start) for name, a, b, c, d in group]


def _common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _compare(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Operation]]:
    if old == new:
        return
    if len(old) * len(new) > MAX_COMPARED_PAIRS:
        yield _replaced(old, new)
    else:
        yield from SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT_LINES)


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[Operation]:
    """One hunk that replaces everything but the lines around it."""
    start = _common_prefix(old, new)
    end = _common_prefix(old[start:][::-1], new[start:][::-1])
    last_old, last_new = len(old) - end, len(new) - end
    operations = [
        ("equal", 0, start, 0, start),
        ("replace", start, last_old, start, last_new),
        ("equal", last_old, len(old), last_new, len(new)),
    ]
    return [each for each in operations if each[1] < each[2] or each[3] < each[4]]


def _hunk(group: Sequence[Operation], old: Sequence[str], new: Sequence[str], offset: int) -> str:
    ranges = _range(group[0][1], group[-1][2], offset), _range(group[0][3], group[-1][4], offset)
    lines = [f"@@ -{ranges[0]} +{ranges[1]} @@\n"]
    for name, old_start, old_end, new_start, new_end in group:
        if name == "equal":
            lines += _signed(" ", old[old_start:old_end])
        else:
            lines += _signed("-", old[old_start:old_end])
            lines += _signed("+", new[new_start:new_end])
    return "".join(lines)


def _range(start: int, end: int, offset: int) -> str:
    """A hunk's lines; an empty range has the number of the line before it."""
    length = end - start
    return f"{start + offset + bool(length)},{length}"


def _signed(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield sign + (line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}")


def _change_of_texts(old: str, new: str, offset: int) -> Change:
    """One hunk from the first to the last line that differs, without a list of the lines."""
    if old == new:
        return Change("", 0, 0)
    start = _same_start(old, new)
    old_end, new_end = _same_end(old, new, start)
    removed, added = old[start:old_end], new[start:new_end]
    before = old[_lines_before(old, start) : start]
    after = old[old_end : _lines_after(old, old_end)]
    context = count_lines(before) + count_lines(after)
    first = old.count("\n", 0, start) - count_lines(before)
    lines_added, lines_removed = count_lines(added), count_lines(removed)
    ranges = [_range(first, first + context + count, offset) for count in (lines_removed, lines_added)]
    signed = (_signed_text(*part) for part in ((" ", before), ("-", removed), ("+", added), (" ", after)))
    return Change(f"@@ -{ranges[0]} +{ranges[1]} @@\n" + "".join(signed), lines_added, lines_removed)


def _same_start(old: str, new: str) -> int:
    """The length of the lines that both texts start with."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return old.rfind("\n", 0, low) + 1


def _same_end(old: str, new: str, start: int) -> tuple[int, int]:
    """Where the lines begin that both texts end with, in each text; after their common start."""
    low, high = 0, min(len(old), len(new)) - start
    while low < high:
        middle = (low + high + 1) // 2
        is_same = old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]
        low, high = (middle, high) if is_same else (low, middle - 1)
    end = len(old) - low
    if not all(low == len(text) or text[len(text) - low - 1] == "\n" for text in (old, new)):
        end = old.find("\n", end) + 1 or len(old)
    return end, len(new) - (len(old) - end)


def _lines_before(text: str, position: int) -> int:
    """Where the context before a line begins."""
    for _ in range(CONTEXT_LINES):
        position = text.rfind("\n", 0, max(0, position - 1)) + 1
    return position


def _lines_after(text: str, position: int) -> int:
    """Where the context from a line on ends."""
    for _ in range(CONTEXT_LINES):
        position = text.find("\n", position) + 1 or len(text)
    return position


def _signed_text(sign: str, text: str) -> str:
    if not text:
        return ""
    signed = sign + text.replace("\n", f"\n{sign}")
    return signed.removesuffix(sign) if text.endswith("\n") else f"{signed}\n{NO_NEWLINE}"
