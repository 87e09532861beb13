"""The files changed by an apply_patch: the data of their events, and their new contents."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rules.agents import event_data
from rules.agents.diffs import unified_diff
from rules.agents.known_files import FileText, Lost, Rewritten, Shown, Touch, Workspace
from rules.agents.patches import FileChange, apply, parse

Data = dict[str, Any]


def file_events(patch: str, workspace: Workspace, directory: str = "") -> list[Data]:
    """The data of one event for each file, and of two for a moved file; empty if the text is not a patch.

    directory -- where the patch is applied, if it is not the working directory
    """
    return [data for change in _changes(patch, directory) for data in _events(change, workspace)]


def touches(patch: str, directory: str = "") -> list[Touch]:
    """The contents of files after the patch."""
    return [touch for change in _changes(patch, directory) for touch in _touches(change)]


def _changes(patch: str, directory: str) -> Iterator[FileChange]:
    for change in parse(patch):
        move_to = change.move_to and posixpath.join(directory, change.move_to)
        yield replace(change, path=posixpath.join(directory, change.path), move_to=move_to)


def _events(change: FileChange, workspace: Workspace) -> Iterator[Data]:
    path = workspace.relative(change.path)
    if change.action == "Add":
        yield event_data.file_created(path, change.content)
    elif change.action == "Delete":
        yield {"kind": "file_delete", "path": path}
    elif change.move_to is not None:
        yield {"kind": "file_delete", "path": path, "movePath": workspace.relative(change.move_to)}
        yield _moved(change, workspace)
    else:
        yield _updated(change, path, workspace)


def _moved(change: FileChange, workspace: Workspace) -> Data:
    path = workspace.relative(change.move_to or "")
    before = workspace.content(change.path)
    after = apply(before.text, change.chunks) if before and before.is_whole else None
    if after is None:
        return {**_partial(change, path), "kind": "file_create"}
    return event_data.file_created(path, after)


def _updated(change: FileChange, path: str, workspace: Workspace) -> Data:
    before = workspace.content(change.path)
    after = apply(before.text, change.chunks) if before and _is_applicable(change, before) else None
    if before is None or after is None:
        return _partial(change, path)
    return event_data.file_changed(path, before, after)


def _is_applicable(change: FileChange, content: FileText) -> bool:
    """Return whether the patch can be applied: the end of the file must be known if the patch changes it."""
    return content.is_whole or not any(chunk.is_at_end or not chunk.old for chunk in change.chunks)


def _partial(change: FileChange, path: str) -> Data:
    """The change without its position in the file: the lines of its chunks are numbered consecutively."""
    parts, first_line = [], 1
    for chunk in change.chunks:
        parts.append(unified_diff(path, _lines(chunk.old), _lines(chunk.new), first_line))
        first_line += len(chunk.old)
    diffs = [part.diff.partition("\n@@ ") for part in parts]
    return event_data.partial_change(path, "", "") | {
        "diff": "".join(
            [*(header + "\n" for header, _, _ in diffs[:1]), *("@@ " + hunk for _, _, hunk in diffs if hunk)]
        ),
        "linesAdded": sum(part.lines_added for part in parts),
        "linesRemoved": sum(part.lines_removed for part in parts),
    }


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _touches(change: FileChange) -> Iterator[Touch]:
    if change.action == "Add":
        yield Shown(change.path, FileText(change.content))
    elif change.action == "Delete":
        yield Lost(change.path)
    elif change.move_to is not None:
        yield Lost(change.path)
        yield Lost(change.move_to)
    else:
        yield Rewritten(change.path, lambda text: apply(text, change.chunks))
