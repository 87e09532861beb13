"""What came out of a session: changed files, commands and plans. Late events have no part in it (R18)."""

from collections import Counter
from typing import Any, NamedTuple

from rules import commands
from rules.envelopes import integer, member, text
from rules.records import CHANGES, EDITOR_CHANNEL, known_exit_code
from rules.texts import readable
from rules.todo_lists import TodoLists

KINDS = frozenset({*CHANGES, "command", "planning"})
LONGEST_CONTENT = 20_000
MOST_CONTENT = 4 * 1024 * 1024  # of all files together
LONGEST_COMMAND = 2_000
LONGEST_PATH = 1_000


class Happening(NamedTuple):
    """One event with its envelope; `time` is in nanoseconds."""

    id: str
    time: int
    kind: str
    source: str | None
    actor: str | None
    attribution: str | None
    envelope: dict[str, Any]

    @property
    def from_editor(self) -> bool:
        return member(self.envelope, "source", "channel") == EDITOR_CHANNEL


class Artifacts:
    """Takes a session's happenings one by one in order, and keeps of them what is shown.

    What the editor extension reports counts only where nobody else reports any (metrics.md, "Terms").
    """

    def __init__(self) -> None:
        self.room = MOST_CONTENT
        self._files: dict[bool, dict[str, dict[str, Any]]] = {True: {}, False: {}}
        self._commands: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        self._todo_lists = TodoLists()

    @property
    def files(self) -> list[dict[str, Any]]:
        """By path."""
        files = self._files[False] or self._files[True]
        return [files[path] for path in sorted(files)]

    @property
    def commands(self) -> list[dict[str, Any]]:
        return self._commands[False] or self._commands[True]

    @property
    def plans(self) -> list[dict[str, Any]]:
        return self._todo_lists.lists

    def take(self, event: Happening) -> None:
        if event.kind in CHANGES:
            self._take_change(event)
        elif event.kind == "command":
            self._commands[event.from_editor].append(_command(event))
        elif event.kind == "planning":
            self._todo_lists.take(event.id, event.time, event.source, member(event.envelope, "data"))

    def _take_change(self, event: Happening) -> None:
        path = text(member(event.envelope, "data", "path"))
        if path is None:
            return
        files = self._files[event.from_editor]
        file = files.setdefault(readable(path, LONGEST_PATH), _new_file(path))
        added, removed = (_count(event, name) for name in ("linesAdded", "linesRemoved"))
        file["lines_added"] += added
        file["lines_removed"] += removed
        file["attributions"][event.attribution or "unknown"] += 1
        file["changes"].append(_occurrence(event) | {"lines_added": added, "lines_removed": removed})
        self._keep_content(file, event)

    def _keep_content(self, file: dict[str, Any], event: Happening) -> None:
        """The latest content goes in the place of the one before, as far as there is room for all files."""
        self.room += len(file["content"] or "") + len(file["diff"] or "")
        deleted = event.kind == "file_delete" or member(event.envelope, "data", "changeType") == "delete"
        content = text(member(event.envelope, "data", "content"))
        diff = text(member(event.envelope, "data", "diff")) if content is None else None
        latest = content if content is not None else diff or ""
        shown = readable(latest, min(LONGEST_CONTENT, self.room)) if self.room > 0 else ""
        self.room -= len(shown)
        file |= {"is_deleted": deleted, "is_cut": len(latest) > len(shown), "content": None, "diff": None}
        file["content" if content is not None else "diff"] = shown or None


def _new_file(path: str) -> dict[str, Any]:
    return {
        "path": readable(path, LONGEST_PATH),
        "lines_added": 0,
        "lines_removed": 0,
        "attributions": Counter(),
        "changes": [],
        "content": None,
        "diff": None,
    }


def _occurrence(event: Happening) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "time": event.time,
        "kind": event.kind,
        "source": event.source,
        "actor": event.actor,
        "attribution": event.attribution,
    }


def _count(event: Happening, name: str) -> int:
    found = integer(member(event.envelope, "data", name)) or 0
    return found if 0 <= found < 2**31 else 0


def _command(event: Happening) -> dict[str, Any]:
    command = text(member(event.envelope, "data", "command"))
    return _occurrence(event) | {
        "command": None if command is None else readable(command, LONGEST_COMMAND),
        "verifies": None if command is None else commands.kind_of(command),
        "exit_code": _int64(known_exit_code(event.envelope, event.source or "")),
        "duration_ms": _int64(integer(member(event.envelope, "data", "durationMs"))),
    }


def _int64(number: int | None) -> int | None:
    return number if number is not None and -(2**63) <= number < 2**63 else None
