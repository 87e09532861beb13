"""Read a finished call by a row of a tool's table."""

from typing import Any

from rules.agents import event_data
from rules.agents.dialect import Outcome, Tool


def read_by(row: Tool, outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of all events of the call."""
    is_read = row.reads_errors or not outcome.is_error
    outcomes = row.read(outcome) if is_read else [event_data.tool_use(outcome)]
    return [(data.pop("kind", row.kind), data) for data in map(dict, outcomes)]
