"""What a call of one of Codex' tools did, from its hook or its log record."""

import re
from collections.abc import Mapping
from typing import Any

from rules.agents.event_data import preview
from rules.agents.values import named, object_in, text_of
from rules.envelopes import member

Data = dict[str, Any]
_MCP = "mcp__"
_COMMANDS = frozenset({"exec_command", "shell", "local_shell", "shell_command", "container.exec"})
_EXIT_CODE = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d{1,10})$", re.ASCII | re.MULTILINE)
_OUTPUT = "\nOutput:\n"


def hook_outcomes(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[tuple[str, Data]]:
    """Kind and data of everything that the call did, from its PostToolUse hook, which has no exit code."""
    arguments, result = hook.get("tool_input"), text_of(hook.get("tool_response"))
    command = text_of(member(arguments, "command"))
    if name == "Bash" and command:
        return [("command", named(command=command, stdout=result))]
    if name == "apply_patch" and command:
        return _patch(command)
    if name.startswith(_MCP):
        return [("mcp_call", {"tool": name, "argsPreview": preview(arguments)})]
    return [("tool_use", {"toolName": name, "inputPreview": preview(arguments)})]


def outcomes(
    tool_use_id: str, name: str, arguments: str | None, output: str, is_success: bool
) -> list[tuple[str, Data]]:
    """Kind and data of everything that the call did, from its log record."""
    if name in _COMMANDS:
        return [("command", _command(object_in(arguments), output))]
    if name == "apply_patch" and arguments and is_success:
        return _patch(arguments)
    return [("tool_use", {"toolName": name, "inputPreview": preview(arguments), "ok": is_success})]


def _command(arguments: Mapping[str, Any], output: str) -> Data:
    head, _, shown = output.partition(_OUTPUT)
    match = _EXIT_CODE.search(head)
    command = arguments.get("cmd", arguments.get("command"))
    if isinstance(command, list):
        command = " ".join(str(word) for word in command)
    return named(command=text_of(command), exitCode=int(match[1]) if match else None, stdout=shown)


def _patch(patch: str) -> list[tuple[str, Data]]:
    return [("file_diff", {"path": "?", "diff": patch})]
