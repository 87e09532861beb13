"""Readers that several agents' tables share."""

import re
from typing import Any

from rules.agents import event_data
from rules.agents.dialect import Outcome
from rules.events.envelopes import field, text

_FOUND = re.compile(r"Found ([0-9]{1,9}) ")


def argument(outcome: Outcome, name: str) -> str:
    """A string argument; empty if it is missing or of another type."""
    return text(field(outcome.arguments, name)) or ""


def arguments(outcome: Outcome, *names: str) -> dict[str, str]:
    """The arguments with these names that are non-empty strings."""
    return {name: value for name in names if (value := argument(outcome, name))}


def search(outcome: Outcome) -> list[dict[str, Any]]:
    data: dict[str, Any] = {"toolName": outcome.name, "pattern": argument(outcome, "pattern")}
    found = _FOUND.match(outcome.result)
    return [data | ({"resultsCount": int(found[1])} if found else {})]


def todos(outcome: Outcome) -> list[dict[str, Any]]:
    todos = field(outcome.arguments, "todos")
    todos = todos if isinstance(todos, list) else []
    return [{"toolName": outcome.name, "todos": todos, "itemCount": len(todos)}]


def tool_name(outcome: Outcome) -> list[dict[str, Any]]:
    return [{"toolName": outcome.name}]


def other(outcome: Outcome) -> list[dict[str, Any]]:
    """A tool without its own event kind."""
    return [event_data.tool_use(outcome)]
