"""Read a finished call by a row of a tool's table."""

from typing import Any

from rules.agents import event_data
from rules.agents.dialect import Outcome, Tool


def read_by(
    row: Tool, outcome: Outcome, failing: frozenset[str] = frozenset()
) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of everything that the call did.

    failing -- the kinds that a failed call has as well; of other kinds it is a `tool_use`
    """
    has_failed = outcome.is_error and row.kind not in failing
    outcomes = [event_data.tool_use(outcome)] if has_failed else row.read(outcome)
    return [(data.get("kind", row.kind), _without_kind(data)) for data in outcomes]


def _without_kind(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "kind"}
