"""Read Codex's tool calls from hooks."""

from collections.abc import Mapping
from typing import Any

from rules.agents.codex.tools import TOOLS
from rules.agents.files.known_files import Workspace
from rules.agents.tools import Outcome
from rules.agents.values import Event, nonempty_string
from rules.events.envelopes import field


def hook_events(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[Event]:
    """Return a call's events from its PostToolUse hook."""
    arguments, result = hook.get("tool_input"), nonempty_string(hook.get("tool_response")) or ""
    command = nonempty_string(field(arguments, "command"))
    if name == "Bash" and command:
        # The hook does not include the exit code.
        return [("command", {"command": command, "stdout": result})]
    patch = command if name == "apply_patch" else None
    workspace = Workspace(nonempty_string(hook.get("cwd")))
    return TOOLS.read(Outcome(tool_use_id, name, patch or arguments, result, None, workspace))
