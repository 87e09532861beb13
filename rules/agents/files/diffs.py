"""Unified diffs in the format of `git apply` and `patch`."""

import re
from typing import NamedTuple

from rules.events.line_diffs import CONTEXT_LINES, NO_NEWLINE, changes, hunks, split_lines
from rules.events.masking import mask_home

# Longer text is not split: a list of millions of short lines takes a hundred times the text's memory.
MAX_SPLIT_LINES = 100_000

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class Change(NamedTuple):
    """A diff with its line counts."""

    diff: str
    lines_added: int
    lines_removed: int


def unified_diff(path: str, before: str | None, after: str | None, first_line: int = 1) -> Change:
    """Compare two versions of a file. None means that the file does not exist.

    first_line -- line number in the file at which both texts start
    """
    old, new = before or "", after or ""
    if _is_large(old, new):
        line_count, old, new = _differing_parts(old, new)
        first_line += line_count
    change = (_replace if _is_large(old, new) else _compare)(old, new, first_line)
    return change._replace(diff=_header(path, before is None, after is None) + change.diff)


def count_lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") if text else 0)


def _compare(old_text: str, new_text: str, first_line: int) -> Change:
    old, new = split_lines(old_text), split_lines(new_text)
    differences = changes(old, new)
    return Change(
        "".join(hunks(old, new, differences, first_line)),
        sum(difference.new_end - difference.new_start for difference in differences),
        sum(difference.old_end - difference.old_start for difference in differences),
    )


def _header(path: str, is_new: bool, is_deleted: bool) -> str:
    name = _UNPRINTABLE.sub("?", mask_home(path)).removeprefix("/")
    old = "/dev/null" if is_new else f"a/{name}"
    new = "/dev/null" if is_deleted else f"b/{name}"
    # A name that contains spaces ends with a tab.
    end = "\t" if " " in name else ""
    return f"--- {old}{'' if is_new else end}\n+++ {new}{'' if is_deleted else end}\n"


def _is_large(old: str, new: str) -> bool:
    return old.count("\n") + new.count("\n") > MAX_SPLIT_LINES


def _replace(old: str, new: str, first_line: int) -> Change:
    """Return one hunk that replaces everything between the common lines, without splitting it into lines."""
    start = _common_start(old, new)
    end = _common_end(old, new, start)
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    ranges = (f"{first_line - (not text)},{count_lines(text)}" for text in (old, new))
    lines = [f"@@ -{next(ranges)} +{next(ranges)} @@\n", _prefix_lines(" ", old[:start])]
    lines += [
        _prefix_lines("-", removed),
        _prefix_lines("+", added),
        _prefix_lines(" ", old[len(old) - end :]),
    ]
    return Change("".join(lines), count_lines(added), count_lines(removed))


def _prefix_lines(sign: str, text: str) -> str:
    if not text:
        return ""
    lines = sign + text.replace("\n", f"\n{sign}")
    return lines.removesuffix(sign) if text.endswith("\n") else f"{lines}\n{NO_NEWLINE}"


def _differing_parts(old: str, new: str) -> tuple[int, str, str]:
    """Remove common lines beyond the context. Returns the number of lines removed at the start, and both texts."""
    start = _common_start(old, new)
    end = _common_end(old, new, start)
    for _ in range(CONTEXT_LINES):
        start = old.rfind("\n", 0, max(0, start - 1)) + 1
        end = max(0, len(old) - (old.find("\n", len(old) - end) + 1 or len(old)))
    return old.count("\n", 0, start), old[start : len(old) - end], new[start : len(new) - end]


def _common_start(old: str, new: str) -> int:
    """Return the length of the common leading lines."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return old.rfind("\n", 0, low) + 1


def _common_end(old: str, new: str, start: int) -> int:
    """Return the length of the common trailing lines after the common start."""
    low, high = 0, min(len(old), len(new)) - start
    while low < high:
        middle = (low + high + 1) // 2
        are_equal = old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]
        low, high = (middle, high) if are_equal else (low, middle - 1)
    if all(low == len(text) or text[len(text) - low - 1] == "\n" for text in (old, new)):
        return low
    return len(old) - (old.find("\n", len(old) - low) + 1 or len(old))
