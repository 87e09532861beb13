"""Read Claude Code's tool calls from hooks.

Hooks include two values that the model does not receive: every command's exit code, and a file's content before a
change. Other calls are read with the tool table for model calls (rules/agents/claude_code/tools.py).
"""

import re
from collections.abc import Mapping
from typing import Any

from rules.agents.claude_code.tools import SHELLS, TOOLS
from rules.agents.files.known_files import FileText, Workspace
from rules.agents.tools import Outcome
from rules.agents.values import Event, nonempty_string, parse_integer, without_none
from rules.events.envelopes import field, integer

Data = dict[str, Any]
_EXIT_CODE = re.compile(r"Exit code (\d{1,10})(?:\n|$)", re.ASCII)


def hook_events(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[Event]:
    """Return a call's events from its PostToolUse or PostToolUseFailure hook."""
    has_failed = hook.get("hook_event_name") == "PostToolUseFailure"
    if name in SHELLS:
        events = [("command", _command(hook, has_failed))]
    elif name == "Read" and not has_failed:
        events = [("file_read", _read(hook))]
    else:
        events = TOOLS.read(_outcome(tool_use_id, name, hook, has_failed))
    duration = parse_integer(hook.get("duration_ms"))
    return [(kind, without_none(**data, durationMs=duration)) for kind, data in events]


def _outcome(tool_use_id: str, name: str, hook: Mapping[str, Any], has_failed: bool) -> Outcome:
    """Build the outcome for the tool table, with the file's content before the change."""
    response, before = hook.get("tool_response"), field(hook.get("tool_response"), "originalFile")
    content = FileText(before) if isinstance(before, str) else None
    workspace = Workspace(nonempty_string(hook.get("cwd")), lambda path: content)
    result = nonempty_string(hook.get("error")) or "" if has_failed else _result(name, response)
    arguments = _arguments(hook.get("tool_input"), response)
    return Outcome(tool_use_id, name, arguments, result, has_failed, workspace)


def _command(hook: Mapping[str, Any], has_failed: bool) -> Data:
    command = {"command": nonempty_string(field(hook.get("tool_input"), "command"))}
    return command | (_failed_command(hook) if has_failed else _successful_command(hook.get("tool_response")))


def _successful_command(response: Any) -> Data:
    """Return the output, and the exit code unless the command was interrupted or still runs in the background.

    For programs such as `grep`, exit code 1 is not an error. The response then includes an interpretation.
    """
    is_known = (
        isinstance(response, dict)
        and not response.get("interrupted")
        and not response.get("backgroundTaskId")
    )
    interpretation = nonempty_string(field(response, "returnCodeInterpretation"))
    output = {name: field(response, name) for name in ("stdout", "stderr")}
    data = {name: value for name, value in output.items() if isinstance(value, str)}
    data |= {"interpretation": interpretation} if interpretation else {}
    return data | ({"exitCode": 1 if interpretation else 0} if is_known else {})


def _failed_command(hook: Mapping[str, Any]) -> Data:
    error = nonempty_string(hook.get("error")) or ""
    match = _EXIT_CODE.match(error)
    if match is None:
        return {"error": error}
    output = {"stdout": error[match.end() :]}
    return output if hook.get("is_interrupt") is True else output | {"exitCode": int(match[1])}


def _read(hook: Mapping[str, Any]) -> Data:
    path = nonempty_string(field(hook.get("tool_input"), "file_path"))
    file = field(hook.get("tool_response"), "file")
    content = field(file, "content")
    return {
        "path": Workspace(nonempty_string(hook.get("cwd"))).relative(path or ""),
        "contentLength": len(content) if isinstance(content, str) else None,
        "numLines": integer(field(file, "numLines")),
    }


def _arguments(arguments: Any, response: Any) -> Any:
    """Return the arguments with the strings that were actually replaced: quotes can differ from the model's."""
    if not isinstance(arguments, dict):
        return arguments
    actual = {"old_string": field(response, "oldString"), "new_string": field(response, "newString")}
    return arguments | {
        name: value for name, value in actual.items() if isinstance(value, str) and name in arguments
    }


def _result(name: str, response: Any) -> str:
    """Build the part of the model's result that the tool table reads."""
    if name == "Write":
        return "File created successfully" if field(response, "type") == "create" else ""
    if name == "TaskCreate":
        return f"Task #{nonempty_string(field(response, 'task', 'id')) or ''} created"
    count = integer(field(response, "numFiles"))
    return "" if count is None else f"Found {count} files"
