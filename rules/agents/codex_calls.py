"""Outcomes of Codex's calls, read from hooks and log records by the table in rules/agents/codex.py."""

from collections.abc import Mapping
from typing import Any

from rules.agents import codex
from rules.agents.dialect import Outcome
from rules.agents.event_data import parsed_arguments
from rules.agents.known_files import Workspace
from rules.agents.table import read_by
from rules.agents.values import text_of
from rules.events.envelopes import field

Data = dict[str, Any]


def hook_outcomes(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[tuple[str, Data]]:
    """Kind and data of all events of the call, from its PostToolUse hook."""
    arguments, result = hook.get("tool_input"), text_of(hook.get("tool_response")) or ""
    command = text_of(field(arguments, "command"))
    if name == "Bash" and command:
        # The hook has only the output, without the exit code.
        return [("command", {"command": command, "stdout": result})]
    patch = command if name == "apply_patch" else None
    outcome = Outcome(
        tool_use_id, name, patch or arguments, result, None, Workspace(text_of(hook.get("cwd")))
    )
    return read_by(codex.tool(name), outcome)


def record_outcomes(
    call_id: str, name: str, arguments: str | None, output: str, is_success: bool
) -> list[tuple[str, Data]]:
    """Kind and data of all events of the call, from its log record."""
    parsed = parsed_arguments(arguments or "")
    outcome = Outcome(call_id, name, parsed, output, not is_success)
    return read_by(codex.tool(name), outcome)
