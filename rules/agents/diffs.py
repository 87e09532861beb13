"""Unified diffs of one file, as `git apply` and `patch` read them."""

import re
from typing import NamedTuple

from rules.line_diffs import changes, hunks, split_lines

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
    found = changes(old, new)
    return Change(
        _header(path, before is None, after is None) + "".join(hunks(old, new, found, first_line)),
        sum(change.new_end - change.new_start for change in found),
        sum(change.old_end - change.old_start for change in found),
    )


def _header(path: str, is_new: bool, is_deleted: bool) -> str:
    name = _UNPRINTABLE.sub("?", path).removeprefix("/")
    old = "/dev/null" if is_new else f"a/{name}"
    new = "/dev/null" if is_deleted else f"b/{name}"
    # A tab ends a name that contains blanks.
    end = "\t" if " " in name else ""
    return f"--- {old}{'' if is_new else end}\n+++ {new}{'' if is_deleted else end}\n"
