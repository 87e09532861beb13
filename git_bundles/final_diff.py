"""The final diff between the base and the submitted tree, by file."""

from collections.abc import Iterator
from typing import IO, Any

from git_bundles import (
    EMPTY_TREE,
    MAX_ADDED_LINES,
    MAX_DIFF_CHARACTERS,
    MAX_FILE_DIFF_CHARACTERS,
    TooLarge,
    Unreadable,
)
from git_bundles.objects import Objects, read_references
from git_bundles.pack import BLOB
from git_bundles.trees import ChangedFile, changed_files, has_file
from rules.events.line_diffs import changes, hunks, split_lines
from rules.metrics.agent_lines import expand_ranges, line_digest

_ESCAPES = {code: f"\\{code:03o}" for code in (*range(32), 127)} | {ord(char): f"\\{char}" for char in '"\\'}


def read_diff(file: IO[bytes], base: str | None) -> Iterator[dict[str, Any]]:
    """Yield the compared commits, then each changed file.

    base -- the assessment's commit, in full or abbreviated, EMPTY_TREE, or None to compare with the workspace's base
    """
    reference, workspace_base = read_references(file)
    objects = Objects(file)
    head = objects.peel(reference)
    new_tree = objects.get_tree_id(head)
    if not has_file(objects, new_tree):
        raise Unreadable("The bundle contains no file.")
    base_commit = _find_base(objects, base, workspace_base)
    is_verified = base == EMPTY_TREE or (base is not None and base_commit is not None)
    yield {"head": head, "base": base_commit, "isVerified": is_verified}
    if base_commit is None and base != EMPTY_TREE:
        return
    old_tree = None if base_commit is None else objects.get_tree_id(base_commit)
    differ = _Differ(objects)
    files = changed_files(objects, old_tree, new_tree)
    # The smallest first: a large file must not use up the limits, so that others are not shown or counted.
    descriptions = {file: differ.describe(file) for file in sorted(files, key=differ.size)}
    yield from (descriptions[file] for file in files)


def _find_base(objects: Objects, base: str | None, workspace_base: str | None) -> str | None:
    """Return the commit to compare with, or None."""
    name = base or workspace_base
    commits = objects.commits(name) if name else []
    return commits[0] if len(commits) == 1 else None


def _quote(path: str) -> str:
    """Quote a path as git does: a line break in it could look like a part of the diff."""
    escaped = path.translate(_ESCAPES)
    return path if escaped == path else f'"{escaped}"'


class _Differ:
    """Describes changed files, within limits for the whole diff."""

    def __init__(self, objects: Objects):
        self._objects = objects
        self._lines_left = MAX_ADDED_LINES
        self._characters_left = MAX_DIFF_CHARACTERS

    def size(self, file: ChangedFile) -> int:
        return sum(self._objects.size(entry.name) for entry in (file.old, file.new) if entry)

    def describe(self, file: ChangedFile) -> dict[str, Any]:
        description: dict[str, Any] = {
            "path": file.path,
            "oldPath": file.old_path,
            "status": file.status,
            "oldMode": file.old and f"{file.old.mode:06o}",
            "newMode": file.new and f"{file.new.mode:06o}",
            "isBinary": False,
            "isTooLarge": False,
            "size": None,
        }
        try:
            return description | self._describe_content(file)
        except TooLarge as error:
            return description | {"isTooLarge": True, "size": error.size}

    def _describe_content(self, file: ChangedFile) -> dict[str, Any]:
        new, old = (
            self._objects.get(entry.name, BLOB) if entry and entry.has_content else b""
            for entry in (file.new, file.old)
        )
        if b"\0" in old or b"\0" in new:
            return {"isBinary": True}
        for content in (new, old):
            if content.count(b"\n") > MAX_ADDED_LINES:
                raise TooLarge(len(content))
        old_lines, new_lines = (split_lines(content.decode("utf-8", "replace")) for content in (old, new))
        return self._describe_lines(file, old_lines, new_lines, len(new or old))

    def _describe_lines(self, file: ChangedFile, old: list[str], new: list[str], size: int) -> dict[str, Any]:
        line_changes = changes(old, new)
        added = [
            [change.new_start + 1, change.new_end]
            for change in line_changes
            if change.new_end > change.new_start
        ]
        added_count = sum(last - first + 1 for first, last in added)
        if added_count > self._lines_left:
            raise TooLarge(size)
        self._lines_left -= added_count
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
        old = _quote(f"a/{file.old_path or file.path}") if file.old else "/dev/null"
        new = _quote(f"b/{file.path}") if file.new else "/dev/null"
        diff_lines, characters_left = [], min(self._characters_left, MAX_FILE_DIFF_CHARACTERS)
        for line in lines:
            characters_left -= len(line)
            if characters_left < 0:
                break
            diff_lines.append(line)
        text = f"--- {old}\n+++ {new}\n" + "".join(diff_lines) if diff_lines else ""
        self._characters_left = max(0, self._characters_left - len(text))
        return text, characters_left < 0
