"""The final diff between the base and the submitted tree, by file."""

import re
from collections.abc import Iterator
from typing import IO, Any

from git_bundles import (
    EMPTY_TREE,
    MAX_ADDED_LINES,
    MAX_DIFF_CHARACTERS,
    MAX_FILE_DIFF_CHARACTERS,
    Unreadable,
)
from git_bundles.pack import BLOB, COMMIT, Objects, read_head
from git_bundles.trees import ChangedFile, changed_files
from rules.events.line_diffs import changes, hunks, split_lines
from rules.metrics.agent_lines import expand_ranges, line_digest

_PARENT_LINE = re.compile(rb"parent ([0-9a-f]{40})\n")


def read_diff(file: IO[bytes], base: str | None) -> Iterator[dict[str, Any]]:
    """Yield the compared commits, then each changed file.

    base -- the base commit's full or abbreviated id, EMPTY_TREE, or None if it is unknown
    """
    reference = read_head(file)
    objects = Objects(file)
    head = objects.peel(reference)
    new_tree = objects.get_tree_id(head)
    base_commit, is_verified = _find_base(objects, head, base)
    yield {"head": head, "base": base_commit, "isVerified": is_verified}
    if base_commit is None and base != EMPTY_TREE:
        return
    old_tree = None if base_commit is None else objects.get_tree_id(base_commit)
    differ = _Differ(objects)
    for changed_file in changed_files(objects, old_tree, new_tree):
        yield differ.describe(changed_file)


def _find_base(objects: Objects, head: str, base: str | None) -> tuple[str | None, bool]:
    """Return the commit to compare with, and whether it is the assessment's base commit."""
    if base == EMPTY_TREE:
        return None, True
    commits = objects.commits(base) if base else []
    return (commits[0], True) if len(commits) == 1 else (_find_shallow_commit(objects, head), False)


def _find_shallow_commit(objects: Objects, head: str) -> str | None:
    """Return the oldest commit of a shallow clone: the only commit whose parents are all missing."""
    visited, starts, queue = {head}, [], [head]
    while queue:
        commit = queue.pop()
        content = objects.get(commit, COMMIT).partition(b"\n\n")[0] + b"\n"
        parents = {parent.decode() for parent in _PARENT_LINE.findall(content)}
        existing_parents = {parent for parent in parents if objects.is_commit(parent)}
        if parents and not existing_parents:
            starts.append(commit)
        queue += existing_parents - visited
        visited |= existing_parents
    return starts[0] if len(starts) == 1 else None


class _Differ:
    """Describes changed files, within limits for the whole diff."""

    def __init__(self, objects: Objects):
        self._objects = objects
        self._lines_left = MAX_ADDED_LINES
        self._characters_left = MAX_DIFF_CHARACTERS

    def describe(self, file: ChangedFile) -> dict[str, Any]:
        description: dict[str, Any] = {
            "path": file.path,
            "oldPath": file.old_path,
            "status": file.status,
            "oldMode": file.old and f"{file.old.mode:06o}",
            "newMode": file.new and f"{file.new.mode:06o}",
        }
        contents = [
            self._objects.get(entry.name, BLOB) if entry and entry.has_content else b""
            for entry in (file.old, file.new)
        ]
        if any(b"\0" in content for content in contents):
            return description | {"isBinary": True}
        lines = (split_lines(content.decode("utf-8", "replace")) for content in contents)
        return description | {"isBinary": False} | self._describe_lines(file, *lines)

    def _describe_lines(self, file: ChangedFile, old: list[str], new: list[str]) -> dict[str, Any]:
        line_changes = changes(old, new)
        added = [
            [change.new_start + 1, change.new_end]
            for change in line_changes
            if change.new_end > change.new_start
        ]
        added_count = sum(last - first + 1 for first, last in added)
        self._lines_left -= added_count
        if self._lines_left < 0:
            raise Unreadable(f"The final diff adds more than {MAX_ADDED_LINES:,} lines.")
        diff, is_truncated = self._unified_diff(file, hunks(old, new, line_changes))
        return {
            "linesAdded": added_count,
            "linesRemoved": sum(change.old_end - change.old_start for change in line_changes),
            "diff": diff,
            "isTruncated": is_truncated,
            "added": added,
            "digests": "".join(line_digest(new[number - 1]) for number in expand_ranges(added)),
        }

    def _unified_diff(self, file: ChangedFile, lines: Iterator[str]) -> tuple[str, bool]:
        """Return the unified diff, limited to complete lines, and whether it was truncated."""
        old = f"a/{file.old_path or file.path}" if file.old else "/dev/null"
        new = f"b/{file.path}" if file.new else "/dev/null"
        diff_lines, characters_left = [], min(self._characters_left, MAX_FILE_DIFF_CHARACTERS)
        for line in lines:
            characters_left -= len(line)
            if characters_left < 0:
                break
            diff_lines.append(line)
        text = f"--- {old}\n+++ {new}\n" + "".join(diff_lines) if diff_lines else ""
        self._characters_left = max(0, self._characters_left - len(text))
        return text, characters_left < 0
