"""Outcomes of Claude Code's calls, read from hooks and log records.

A hook has more than the model sees: the exit code of every command, and a file before its change. Everything else is
read by the table for the model's view (rules/agents/claude_code.py).
"""

import re
from collections.abc import Mapping
from typing import Any

from rules.agents import claude_code
from rules.agents.dialect import Outcome
from rules.agents.known_files import FileText, Workspace
from rules.agents.table import read_by
from rules.agents.values import integer_of, named, text_of
from rules.events.envelopes import field, integer

Data = dict[str, Any]
_EXIT_CODE = re.compile(r"Exit code (\d{1,10})(?:\n|$)", re.ASCII)


def hook_outcomes(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[tuple[str, Data]]:
    """Kind and data of the call's events, from its PostToolUse or PostToolUseFailure hook."""
    has_failed = hook.get("hook_event_name") == "PostToolUseFailure"
    if name == "Bash":
        outcomes = [("command", _command(hook, has_failed))]
    elif name == "Read" and not has_failed:
        outcomes = [("file_read", _read(hook))]
    else:
        outcomes = by_table(_outcome(tool_use_id, name, hook, has_failed))
    duration = integer_of(hook.get("duration_ms"))
    return [(kind, named(**data, durationMs=duration)) for kind, data in outcomes]


def _outcome(tool_use_id: str, name: str, hook: Mapping[str, Any], has_failed: bool) -> Outcome:
    """The call as the table reads it, with the file before its change."""
    response, before = hook.get("tool_response"), field(hook.get("tool_response"), "originalFile")
    content = FileText(before) if isinstance(before, str) else None
    workspace = Workspace(text_of(hook.get("cwd")), lambda path: content)
    result = text_of(hook.get("error")) or "" if has_failed else _result(name, response)
    arguments = _arguments(hook.get("tool_input"), response)
    return Outcome(tool_use_id, name, arguments, result, has_failed, workspace)


def by_table(outcome: Outcome) -> list[tuple[str, Data]]:
    """Kind and data of a call's events, read as the model sees it."""
    return read_by(claude_code.tool(outcome.name), outcome)


def _command(hook: Mapping[str, Any], has_failed: bool) -> Data:
    is_interrupt = hook.get("is_interrupt") is True
    error = text_of(hook.get("error")) or ""
    done = _failed_command(error, is_interrupt) if has_failed else _passed_command(hook.get("tool_response"))
    return {"command": text_of(field(hook.get("tool_input"), "command")), **done}


def _passed_command(response: Any) -> Data:
    """A command that Claude Code treats as a success.

    That is exit code 0, or 1 from a program such as `grep`, which the response then interprets. A background command
    has no exit code yet.
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


def _failed_command(error: str, is_interrupt: bool) -> Data:
    match = _EXIT_CODE.match(error)
    if match is None:
        return {"error": error}
    output = {"stdout": error[match.end() :]}
    return output if is_interrupt else output | {"exitCode": int(match[1])}


def _read(hook: Mapping[str, Any]) -> Data:
    path, file = (
        text_of(field(hook.get("tool_input"), "file_path")),
        field(hook.get("tool_response"), "file"),
    )
    content = field(file, "content")
    return {
        "path": Workspace(text_of(hook.get("cwd"))).relative(path or ""),
        "contentLength": len(content) if isinstance(content, str) else None,
        "numLines": integer(field(file, "numLines")),
    }


def _arguments(arguments: Any, response: Any) -> Any:
    """The arguments, with an edit's actual strings: the model may write other quotes than the file has."""
    if not isinstance(arguments, dict):
        return arguments
    actual = {"old_string": field(response, "oldString"), "new_string": field(response, "newString")}
    return arguments | {
        name: value for name, value in actual.items() if isinstance(value, str) and name in arguments
    }


def _result(name: str, response: Any) -> str:
    """The start of the model's view of this response, as far as the table reads it."""
    if name == "Write":
        return "File created successfully" if field(response, "type") == "create" else ""
    if name == "TaskCreate":
        return f"Task #{text_of(field(response, 'task', 'id')) or ''} created"
    count = integer(field(response, "numFiles"))
    return "" if count is None else f"Found {count} files"
