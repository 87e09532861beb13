"""Claude Code's calls, read from hooks.

A hook has two things that the model does not receive: every command's exit code, and a file before its change. Other
calls are read by the table for model calls (rules/agents/claude_code/tools.py).
"""

import re
from collections.abc import Mapping
from typing import Any

from rules.agents.claude_code.tools import TOOLS
from rules.agents.files.known_files import FileText, Workspace
from rules.agents.tools import Outcome
from rules.agents.values import Event, integer_of, text_of, without_none
from rules.events.envelopes import field, integer

Data = dict[str, Any]
_EXIT_CODE = re.compile(r"Exit code (\d{1,10})(?:\n|$)", re.ASCII)


def hook_events(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[Event]:
    """Return a call's events, from its PostToolUse or PostToolUseFailure hook."""
    has_failed = hook.get("hook_event_name") == "PostToolUseFailure"
    if name == "Bash":
        events = [("command", _command(hook, has_failed))]
    elif name == "Read" and not has_failed:
        events = [("file_read", _read(hook))]
    else:
        events = TOOLS.read(_outcome(tool_use_id, name, hook, has_failed))
    duration = integer_of(hook.get("duration_ms"))
    return [(kind, without_none(**data, durationMs=duration)) for kind, data in events]


def _outcome(tool_use_id: str, name: str, hook: Mapping[str, Any], has_failed: bool) -> Outcome:
    """Build the outcome that the table reads, with the file before its change."""
    response, before = hook.get("tool_response"), field(hook.get("tool_response"), "originalFile")
    content = FileText(before) if isinstance(before, str) else None
    workspace = Workspace(text_of(hook.get("cwd")), lambda path: content)
    result = text_of(hook.get("error")) or "" if has_failed else _result(name, response)
    arguments = _arguments(hook.get("tool_input"), response)
    return Outcome(tool_use_id, name, arguments, result, has_failed, workspace)


def _command(hook: Mapping[str, Any], has_failed: bool) -> Data:
    command = {"command": text_of(field(hook.get("tool_input"), "command"))}
    return command | (_failed_command(hook) if has_failed else _successful_command(hook.get("tool_response")))


def _successful_command(response: Any) -> Data:
    """Return the output, and the exit code unless the command still runs in the background or was interrupted.

    Exit code 1 of programs such as `grep` is a success, which the response interprets.
    """
    is_known = (
        isinstance(response, dict)
        and not response.get("interrupted")
        and not response.get("backgroundTaskId")
    )
    code = 1 if text_of(field(response, "returnCodeInterpretation")) else 0
    output = {name: field(response, name) for name in ("stdout", "stderr")}
    texts = {name: text for name, text in output.items() if isinstance(text, str)}
    return texts | ({"exitCode": code} if is_known else {})


def _failed_command(hook: Mapping[str, Any]) -> Data:
    error = text_of(hook.get("error")) or ""
    match = _EXIT_CODE.match(error)
    if match is None:
        return {"error": error}
    output = {"stdout": error[match.end() :]}
    return output if hook.get("is_interrupt") is True else output | {"exitCode": int(match[1])}


def _read(hook: Mapping[str, Any]) -> Data:
    path = text_of(field(hook.get("tool_input"), "file_path"))
    file = field(hook.get("tool_response"), "file")
    content = field(file, "content")
    return {
        "path": Workspace(text_of(hook.get("cwd"))).relative(path or ""),
        "contentLength": len(content) if isinstance(content, str) else None,
        "numLines": integer(field(file, "numLines")),
    }


def _arguments(arguments: Any, response: Any) -> Any:
    """Return the arguments with an edit's actual strings: the model's quotes can differ from the file's."""
    if not isinstance(arguments, dict):
        return arguments
    actual = {"old_string": field(response, "oldString"), "new_string": field(response, "newString")}
    return arguments | {
        name: value for name, value in actual.items() if isinstance(value, str) and name in arguments
    }


def _result(name: str, response: Any) -> str:
    """Build the part of the model's result that the table reads."""
    if name == "Write":
        return "File created successfully" if field(response, "type") == "create" else ""
    if name == "TaskCreate":
        return f"Task #{text_of(field(response, 'task', 'id')) or ''} created"
    count = integer(field(response, "numFiles"))
    return "" if count is None else f"Found {count} files"
