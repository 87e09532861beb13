"""Tables that map an agent's tools to events, and shared readers."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.agents.event_data import MAX_PREVIEW_CHARACTERS, mask_and_truncate, preview, raw_text
from rules.agents.files.known_files import FileUpdate, Workspace
from rules.agents.values import Event
from rules.events.envelopes import as_list, field, text

log = logging.getLogger("proofstone.agents")

_MATCH_COUNT = re.compile(r"Found ([0-9]{1,9}) ")


class Outcome(NamedTuple):
    """A tool call and its result.

    name, arguments -- from the parsed call
    result -- the text that the model receives
    is_error -- whether the tool reported an error; None if the dialect does not include this
    workspace -- state before the call
    """

    tool_use_id: str
    name: str
    arguments: Any
    result: str
    is_error: bool | None
    workspace: Workspace = Workspace()


def tool_use(outcome: Outcome) -> dict[str, Any]:
    """Build the data for a failed call, or for a tool without a specific event kind."""
    data = {"kind": "tool_use", "toolName": outcome.name, "inputPreview": preview(outcome.arguments)}
    if outcome.is_error:
        return data | {"ok": False, "error": mask_and_truncate(outcome.result, MAX_PREVIEW_CHARACTERS)}
    return data | {"ok": True}


def unreadable(outcome: Outcome) -> Event:
    """Build a generic event with the raw text of a call that could not be read."""
    data = tool_use(outcome) | {"input": raw_text(outcome.arguments)}
    return data.pop("kind"), data


def generic(outcome: Outcome) -> list[dict[str, Any]]:
    return [tool_use(outcome)]


@dataclass(frozen=True)
class Tool:
    """A row of a tool table: the kind of a call's events, and functions that read their data.

    read -- returns the data of each event; a `kind` in the data overrides the row's
    file_updates -- returns the call's updates to known files
    reads_errors -- whether `read` also handles failed calls; otherwise they become a `tool_use` with `ok` false
    """

    kind: str
    read: Callable[[Outcome], Iterable[dict[str, Any]]]
    file_updates: Callable[[Outcome], Sequence[FileUpdate]] = lambda outcome: ()
    reads_errors: bool = False


@dataclass(frozen=True)
class ToolTable:
    """An agent's tools by name.

    mcp -- row for tools of MCP servers, if the agent prefixes their names with `mcp__`
    other -- row for unknown tools
    """

    rows: Mapping[str, Tool]
    mcp: Tool | None = None
    other: Tool = Tool("tool_use", generic)

    def row(self, name: str) -> Tool:
        if name not in self.rows and self.mcp and name.startswith("mcp__"):
            return self.mcp
        return self.rows.get(name, self.other)

    def read(
        self, outcome: Outcome, has_space: Callable[[dict[str, Any]], bool] = lambda data: True
    ) -> list[Event]:
        """Return the events of a finished call. An error does not affect other calls.

        has_space -- called with the data of each event; once it returns False, a generic event replaces the others
        """
        row = self.row(outcome.name)
        read = row.read if row.reads_errors or not outcome.is_error else generic
        events: list[Event] = []
        try:
            for data in map(dict, read(outcome)):
                is_last = not has_space(data)
                data = tool_use(outcome) if is_last else data
                events.append((data.pop("kind", row.kind), data))
                if is_last:
                    break
            return events
        except Exception:
            log.exception("Could not read a tool call. It is recorded as a generic event.")
            return [unreadable(outcome)]

    def file_updates(self, outcome: Outcome) -> list[FileUpdate]:
        """Return a finished call's updates to known files. An error does not affect other calls."""
        try:
            return list(self.row(outcome.name).file_updates(outcome))
        except Exception:
            log.exception("Could not read a tool call's changes to files.")
            return []


def argument(outcome: Outcome, name: str) -> str:
    """Return a string argument, or an empty string if it is missing or has a different type."""
    return text(field(outcome.arguments, name)) or ""


def arguments(outcome: Outcome, *names: str) -> dict[str, str]:
    """Return the named arguments that are nonempty strings."""
    return {name: value for name in names if (value := argument(outcome, name))}


def search(outcome: Outcome) -> list[dict[str, Any]]:
    data: dict[str, Any] = {"toolName": outcome.name, "pattern": argument(outcome, "pattern")}
    matches = _MATCH_COUNT.match(outcome.result)
    return [data | ({"resultsCount": int(matches[1])} if matches else {})]


def todos(outcome: Outcome) -> list[dict[str, Any]]:
    todos = as_list(field(outcome.arguments, "todos"))
    return [{"toolName": outcome.name, "todos": todos, "itemCount": len(todos)}]


def path(outcome: Outcome) -> list[dict[str, Any]]:
    return [{"path": outcome.workspace.relative(argument(outcome, "path"))}]


def with_arguments(*names: str) -> Callable[[Outcome], list[dict[str, Any]]]:
    """Build a reader that returns the tool's name and the named arguments."""
    return lambda outcome: [{"toolName": outcome.name, **arguments(outcome, *names)}]
