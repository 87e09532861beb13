"""Codex's calls, read from hooks."""

from collections.abc import Mapping
from typing import Any

from rules.agents.codex.tools import TOOLS
from rules.agents.files.known_files import Workspace
from rules.agents.tools import Outcome
from rules.agents.values import Event, text_of
from rules.events.envelopes import field


def hook_events(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[Event]:
    """Return a call's events, from its PostToolUse hook."""
    arguments, result = hook.get("tool_input"), text_of(hook.get("tool_response")) or ""
    command = text_of(field(arguments, "command"))
    if name == "Bash" and command:
        # The hook has no exit code.
        return [("command", {"command": command, "stdout": result})]
    patch = command if name == "apply_patch" else None
    workspace = Workspace(text_of(hook.get("cwd")))
    return TOOLS.read(Outcome(tool_use_id, name, patch or arguments, result, None, workspace))
