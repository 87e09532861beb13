"""Read events and file updates from apply_patch patches."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rules.agents import event_data
from rules.agents.files.diffs import unified_diff
from rules.agents.files.known_files import FileText, FileUpdate, Invalidation, Rewrite, Snapshot, Workspace
from rules.agents.files.patches import FileChange, apply, parse

Data = dict[str, Any]


def file_events(patch: str, workspace: Workspace, directory: str = "") -> Iterator[Data]:
    """Yield the data of one event per file, or two for a moved file. Empty if the text is not a patch.

    directory -- where the patch is applied; empty means the working directory
    """
    # Lazily: many short changes of a file with long lines are longer than memory.
    for change in _changes(patch, directory):
        yield from _events(change, workspace)


def file_updates(patch: str, directory: str = "") -> list[FileUpdate]:
    return [update for change in _changes(patch, directory) for update in _updates(change)]


def _changes(patch: str, directory: str) -> Iterator[FileChange]:
    for change in parse(patch):
        move_to = change.move_to and posixpath.join(directory, change.move_to)
        yield replace(change, path=posixpath.join(directory, change.path), move_to=move_to)


def _events(change: FileChange, workspace: Workspace) -> Iterator[Data]:
    path = workspace.relative(change.path)
    if change.action == "Add":
        yield event_data.file_creation(path, change.content)
    elif change.action == "Delete":
        yield {"kind": "file_delete", "path": path}
    elif change.move_to is not None:
        yield {"kind": "file_delete", "path": path, "movePath": workspace.relative(change.move_to)}
        yield _move(change, workspace)
    else:
        yield _update(change, workspace)


def _move(change: FileChange, workspace: Workspace) -> Data:
    path = workspace.relative(change.move_to or "")
    before = workspace.content(change.path)
    after = apply(before.text, change.chunks) if before and before.is_whole else None
    if after is None:
        return {**_partial_update(change, path), "kind": "file_create"}
    return event_data.file_creation(path, after)


def _update(change: FileChange, workspace: Workspace) -> Data:
    path, before = workspace.relative(change.path), workspace.content(change.path)
    changes_end = any(chunk.is_at_end or not chunk.old for chunk in change.chunks)
    is_applicable = before is not None and (before.is_whole or not changes_end)
    after = apply(before.text, change.chunks) if before and is_applicable else None
    if before is None or after is None:
        return _partial_update(change, path)
    return event_data.file_change(path, before, after)


def _partial_update(change: FileChange, path: str) -> Data:
    """Build a change at an unknown position, with the chunks' lines numbered consecutively."""
    data, diffs, first_line = event_data.partial_change(path, "", ""), [], 1
    for chunk in change.chunks:
        # Without the path, which can be long, in each diff's header.
        diffs.append(unified_diff("", _lines(chunk.old), _lines(chunk.new), first_line))
        first_line += len(chunk.old)
    hunks = [diff.diff.partition("\n@@ ")[2] for diff in diffs]
    return data | {
        "diff": data["diff"] + "".join("@@ " + hunk for hunk in hunks if hunk),
        "linesAdded": sum(diff.lines_added for diff in diffs),
        "linesRemoved": sum(diff.lines_removed for diff in diffs),
    }


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _updates(change: FileChange) -> Iterator[FileUpdate]:
    if change.action == "Add":
        yield Snapshot(change.path, FileText(change.content))
    elif change.action == "Delete":
        yield Invalidation(change.path)
    elif change.move_to is not None:
        yield Invalidation(change.path)
        yield Invalidation(change.move_to)
    else:
        yield Rewrite(change.path, lambda text: apply(text, change.chunks))
