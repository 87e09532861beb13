"""Unified diffs of one file, as `git apply` and `patch` read them."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rules import line_diffs
from rules.line_diffs import differing_range, hunks, split_lines

# If the product of the lines that differ is larger, they are replaced as a whole: comparing takes too long. So does
# comparing texts in which few lines are repeated many times; each occurrence in one is paired with each in the other.
MAX_COMPARED_PAIRS = 250_000
MAX_EQUAL_PAIRS = 10_000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class Change(NamedTuple):
    """A diff with the numbers of its added and removed lines."""

    diff: str
    lines_added: int
    lines_removed: int


def unified_diff(path: str, before: str | None, after: str | None, first_line: int = 1) -> Change:
    """The change from one text of a file to another; None is a file that does not exist.

    first_line -- the number of the text's first line, if it is only a part of the file
    """
    old, new = split_lines(before or ""), split_lines(after or "")
    changes = _changes(old, new)
    return Change(
        _header(path, before is None, after is None) + "".join(hunks(old, new, changes, first_line)),
        sum(change.new_end - change.new_start for change in changes),
        sum(change.old_end - change.old_start for change in changes),
    )


def _header(path: str, is_new: bool, is_deleted: bool) -> str:
    name = _UNPRINTABLE.sub("?", path).removeprefix("/")
    old = "/dev/null" if is_new else f"a/{name}"
    new = "/dev/null" if is_deleted else f"b/{name}"
    # A tab ends a name that contains blanks.
    end = "\t" if " " in name else ""
    return f"--- {old}{'' if is_new else end}\n+++ {new}{'' if is_deleted else end}\n"


def _changes(old: Sequence[str], new: Sequence[str]) -> list[line_diffs.Change]:
    start, old_end, new_end = differing_range(old, new)
    if _is_comparable(old[start:old_end], new[start:new_end]):
        return line_diffs.changes(old, new)
    return [line_diffs.Change(start, old_end, start, new_end)]


def _is_comparable(old: Sequence[str], new: Sequence[str]) -> bool:
    return len(old) * len(new) <= MAX_COMPARED_PAIRS and _equal_pairs(old, new) <= MAX_EQUAL_PAIRS


def _equal_pairs(old: Sequence[str], new: Sequence[str]) -> int:
    counts = Counter(new)
    return sum(count * counts[line] for line, count in Counter(old).items())
