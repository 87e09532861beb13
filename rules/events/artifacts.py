"""A session's changed files, commands and plans."""

from collections import Counter
from typing import Any, NamedTuple

from rules.events.envelopes import CHANGE_KINDS, INT64, field, integer, is_from_editor, known_exit_code, text
from rules.events.todo_lists import TodoLists
from rules.metrics import commands
from rules.plain_text import to_storable

KINDS = frozenset({*CHANGE_KINDS, "command", "planning"})
MAX_CONTENT_CHARACTERS = 20_000
MAX_TOTAL_CONTENT_CHARACTERS = 4 * 1024 * 1024
MAX_COMMAND_CHARACTERS = 2_000
MAX_PATH_CHARACTERS = 1_000


class ArtifactEvent(NamedTuple):
    event_id: str
    time_ns: int
    kind: str
    source: str | None
    actor: str | None
    attribution: str | None
    envelope: dict[str, Any]


class Artifacts:
    """Collects artifacts from a session's events in order.

    The editor extension's changes and commands are used only if no other channel recorded any (docs/metrics.md#terms).
    """

    def __init__(self) -> None:
        self._command_characters_left = commands.MAX_SESSION_CHARACTERS
        self._characters_left = MAX_TOTAL_CONTENT_CHARACTERS
        # By whether the events are from the editor extension.
        self._files: dict[bool, dict[str, dict[str, Any]]] = {True: {}, False: {}}
        self._commands: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        self._todo_lists = TodoLists()

    @property
    def files(self) -> list[dict[str, Any]]:
        """Changed files, sorted by path."""
        files = self._files[False] or self._files[True]
        return [files[path] for path in sorted(files)]

    @property
    def commands(self) -> list[dict[str, Any]]:
        return self._commands[False] or self._commands[True]

    @property
    def plans(self) -> list[dict[str, Any]]:
        return self._todo_lists.lists

    def add(self, event: ArtifactEvent) -> None:
        if event.kind in CHANGE_KINDS:
            self._add_change(event)
        elif event.kind == "command":
            self._add_command(event)
        elif event.kind == "planning":
            self._todo_lists.add(event.event_id, event.time_ns, event.source, field(event.envelope, "data"))

    def _add_change(self, event: ArtifactEvent) -> None:
        data = field(event.envelope, "data")
        path = text(field(data, "path"))
        if path is None:
            return
        path = to_storable(path, MAX_PATH_CHARACTERS)
        new = {"path": path, "lines_added": 0, "lines_removed": 0, "attributions": Counter(), "changes": []}
        file = self._files[is_from_editor(event.envelope)].setdefault(path, new)
        fields = {"lines_added": "linesAdded", "lines_removed": "linesRemoved"}
        lines = {name: integer(field(data, key), range(2**31)) or 0 for name, key in fields.items()}
        for name, count in lines.items():
            file[name] += count
        file["attributions"][event.attribution or "unknown"] += 1
        file["changes"].append(_event_fields(event) | lines)
        self._replace_content(file, event.kind, data)

    def _replace_content(self, file: dict[str, Any], kind: str, data: Any) -> None:
        """Store the latest content or diff, within the limit for all files."""
        self._characters_left += len(file.get("content") or "") + len(file.get("diff") or "")
        content = text(field(data, "content"))
        latest = content if content is not None else text(field(data, "diff")) or ""
        limit = min(MAX_CONTENT_CHARACTERS, self._characters_left)
        stored = to_storable(latest, limit) if limit > 0 else ""
        self._characters_left -= len(stored)
        file["is_deleted"] = kind == "file_delete" or field(data, "changeType") == "delete"
        file |= {"is_cut": len(latest) > len(stored), "content": None, "diff": None}
        file["diff" if content is None else "content"] = stored or None

    def _add_command(self, event: ArtifactEvent) -> None:
        data = field(event.envelope, "data")
        command = text(field(data, "command"))
        can_verify = self._command_characters_left > 0
        self._command_characters_left -= len(command or "")
        row = _event_fields(event) | {
            "command": None if command is None else to_storable(command, MAX_COMMAND_CHARACTERS),
            "verifies": commands.verification_kind(command or "") if can_verify else None,
            "exit_code": integer(known_exit_code(event.envelope), INT64),
            "duration_ms": integer(field(data, "durationMs"), INT64),
        }
        self._commands[is_from_editor(event.envelope)].append(row)


def _event_fields(event: ArtifactEvent) -> dict[str, Any]:
    return {name: value for name, value in event._asdict().items() if name != "envelope"}
