"""Read a finished call by a row of a tool's table."""

from typing import Any

from rules.agents import event_data
from rules.agents.dialect import Outcome, Tool


def read_by(row: Tool, outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of everything that the call did."""
    is_read = row.reads_errors or not outcome.is_error
    outcomes = row.read(outcome) if is_read else [event_data.tool_use(outcome)]
    return [(data.get("kind", row.kind), _without_kind(data)) for data in outcomes]


def _without_kind(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "kind"}
