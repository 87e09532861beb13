"""Readings that several agents' tables share."""

import re
from typing import Any

from rules.agents import event_data
from rules.agents.dialect import Outcome
from rules.events.envelopes import member, text

_FOUND = re.compile(r"Found ([0-9]{1,9}) ")


def argument(outcome: Outcome, name: str) -> str:
    """An argument that is a text; empty if it is missing or something else."""
    return text(member(outcome.arguments, name)) or ""


def arguments(outcome: Outcome, *names: str) -> dict[str, str]:
    """The arguments of these names that are texts and not empty."""
    return {name: value for name in names if (value := argument(outcome, name))}


def search(outcome: Outcome) -> list[dict[str, Any]]:
    data: dict[str, Any] = {"toolName": outcome.name, "pattern": argument(outcome, "pattern")}
    found = _FOUND.match(outcome.result)
    return [data | ({"resultsCount": int(found[1])} if found else {})]


def todos(outcome: Outcome) -> list[dict[str, Any]]:
    todos = member(outcome.arguments, "todos")
    todos = todos if isinstance(todos, list) else []
    return [{"toolName": outcome.name, "todos": todos, "itemCount": len(todos)}]


def tool_name(outcome: Outcome) -> list[dict[str, Any]]:
    return [{"toolName": outcome.name}]


def other(outcome: Outcome) -> list[dict[str, Any]]:
    """A tool without a kind of its own."""
    return [event_data.tool_use(outcome)]
