"""Claude Code's tool table (verified with 2.1.197)."""

import re
from typing import Any

from rules.agents import event_data, tools
from rules.agents.files.diffs import count_lines
from rules.agents.files.known_files import (
    Edit,
    FileText,
    FileUpdate,
    Invalidation,
    Snapshot,
    apply_edit,
    read_numbered_lines,
)
from rules.agents.tools import Outcome, Tool, ToolTable, argument, arguments, tool_use
from rules.events.envelopes import field, integer, text

Data = dict[str, Any]

MAX_PLAN_CHARACTERS = 4000
# Limits on a call's edits and on the characters they search. A call over these limits becomes a generic event.
MAX_EDITS = 200
MAX_SEARCHED_CHARACTERS = 50_000_000
_EXIT_CODE = re.compile(r"Exit code (-?\d{1,9})(?:\n|$)")
_NO_OUTPUT = "(Bash completed with no output)"
_IN_BACKGROUND = re.compile(
    r"^Command (?:running in background|was manually backgrounded by user) with ID: ", re.M
)
_ABORTED = "<error>Command was aborted before completion</error>"
_EMPTY_FILE = re.compile(
    r"<system-reminder>Warning: the file exists but (?:is shorter|the contents are empty)"
)
_TRUNCATED = "[Truncated: PARTIAL view"
_CREATED = "File created successfully"
_APPROVED_PLAN = re.compile(r"## Approved Plan[^\n]*:\n(.*)", re.S)


def _path(outcome: Outcome) -> str:
    return next(iter(arguments(outcome, "file_path", "notebook_path", "path").values()), "")


def _relative_path(outcome: Outcome) -> str:
    return outcome.workspace.relative(_path(outcome))


def _command(outcome: Outcome) -> list[Data]:
    data: Data = {"command": argument(outcome, "command")}
    exit_code = _EXIT_CODE.match(outcome.result) if outcome.is_error else None
    if exit_code:
        return [data | {"exitCode": int(exit_code[1]), "stdout": outcome.result[exit_code.end() :]}]
    data["stdout"] = "" if outcome.result == _NO_OUTPUT else outcome.result
    if outcome.result.endswith(_ABORTED):
        return [data]
    if outcome.is_error:  # The command was denied.
        return [tool_use(outcome)]
    is_in_background = _IN_BACKGROUND.search(outcome.result) is not None
    return [data | ({"isBackground": True} if is_in_background else {"exitCode": 0})]


def _read(outcome: Outcome) -> list[Data]:
    data: Data = {"path": _relative_path(outcome)}
    content = _read_content(outcome)
    if content is not None:
        data |= {"contentLength": len(content.text), "numLines": count_lines(content.text)}
    return [data]


def _read_content(outcome: Outcome) -> FileText | None:
    offset, limit = (integer(field(outcome.arguments, name)) for name in ("offset", "limit"))
    if _EMPTY_FILE.match(outcome.result):
        return FileText("") if offset is None else None
    is_truncated = _TRUNCATED in outcome.result[:1000]
    return read_numbered_lines(outcome.result, limit=limit, is_truncated=is_truncated)


def _read_updates(outcome: Outcome) -> list[FileUpdate]:
    content = _read_content(outcome)
    return [Snapshot(_path(outcome), content)] if content is not None else []


def _edits(outcome: Outcome) -> list[Edit]:
    """Return the edits of an Edit call, or of a MultiEdit call from older versions."""
    edits = field(outcome.arguments, "edits")
    return [
        Edit(
            _path(outcome),
            text(field(edit, "old_string")) or "",
            text(field(edit, "new_string")) or "",
            field(edit, "replace_all") is True,
            removes_newline=True,
            ignores_quotes=True,
        )
        for edit in (edits if isinstance(edits, list) else [outcome.arguments])
    ]


def _edit(outcome: Outcome) -> list[Data]:
    path, edits = _relative_path(outcome), _edits(outcome)
    if not 0 < len(edits) <= MAX_EDITS:
        return [tool_use(outcome)]
    before = outcome.workspace.content(_path(outcome))
    if not edits[0].old:
        # Without an old string, the edit creates a file or fills an empty one.
        if before is None:
            return [event_data.file_creation(path, edits[0].new)]
        return [event_data.file_change(path, before, edits[0].new)]
    after = before if before and len(before.text) * len(edits) <= MAX_SEARCHED_CHARACTERS else None
    for edit in edits:
        after = after and apply_edit(after, edit)
    if before is None or after is None:
        changes = [event_data.partial_change(path, edit.old, edit.new) for edit in edits]
    else:
        changes = [event_data.file_change(path, before, after.text)]
    if len(changes) < len(edits):
        return changes
    strings = ({"oldString": edit.old, "newString": edit.new} for edit in edits)
    return [change | pair for change, pair in zip(changes, strings, strict=True)]


def _edit_updates(outcome: Outcome) -> list[FileUpdate]:
    edits = _edits(outcome)
    if len(edits) != 1:
        return [Invalidation(_path(outcome))]
    return [edits[0] if edits[0].old else Snapshot(_path(outcome), FileText(edits[0].new))]


def _write(outcome: Outcome) -> list[Data]:
    path, content = _relative_path(outcome), argument(outcome, "content")
    if outcome.result.startswith(_CREATED):
        return [event_data.file_creation(path, content)]
    before = outcome.workspace.content(_path(outcome))
    if before is None or not before.is_whole:
        return [event_data.partial_change(path, "", content) | {"content": content}]
    return [event_data.file_change(path, before, content) | {"content": content}]


def _write_updates(outcome: Outcome) -> list[FileUpdate]:
    return [Snapshot(_path(outcome), FileText(argument(outcome, "content")))]


def _notebook(outcome: Outcome) -> list[Data]:
    """Return a partial change: the conversation includes only cells, never the whole file."""
    new = argument(outcome, "new_source")
    return [event_data.partial_change(_relative_path(outcome), "", new) | {"newString": new}]


def _notebook_updates(outcome: Outcome) -> list[FileUpdate]:
    return [Invalidation(_path(outcome))]


def _new_task(outcome: Outcome) -> list[Data]:
    number = re.match(r"Task #(\w{1,40}) created", outcome.result)
    names = ("subject", "description", "activeForm")
    data: Data = {"toolName": outcome.name, **arguments(outcome, *names)}
    return [data | ({"taskId": number[1]} if number else {})]


def _plan(outcome: Outcome) -> list[Data]:
    approved = _APPROVED_PLAN.search(outcome.result)
    plan = argument(outcome, "plan") or (approved[1] if approved else "")
    plan_preview = event_data.mask_and_truncate(plan, MAX_PLAN_CHARACTERS)
    return [{"planPreview": plan_preview, "responsePreview": "approved", "approved": True}]


def _dispatch(outcome: Outcome) -> list[Data]:
    task = argument(outcome, "prompt") or argument(outcome, "description")
    data = {"taskPreview": event_data.preview(task), **arguments(outcome, "description")}
    agent_type = argument(outcome, "subagent_type")
    return [data | ({"agentType": agent_type} if agent_type else {})]


def _lookup(outcome: Outcome) -> list[Data]:
    data: Data = {"toolName": outcome.name, **arguments(outcome, "query", "url")}
    return [data | ({"ok": False} if outcome.is_error else {})]


def _mcp(outcome: Outcome) -> list[Data]:
    data: Data = {"tool": outcome.name, "argsPreview": event_data.preview(outcome.arguments)}
    return [data | {"ok": not outcome.is_error}]


# On Windows, Claude Code also has PowerShell.
SHELLS = ("Bash", "PowerShell")
_ROWS = {
    **dict.fromkeys(SHELLS, Tool("command", _command, reads_errors=True)),
    "Read": Tool("file_read", _read, _read_updates),
    "Edit": Tool("file_diff", _edit, _edit_updates),
    "MultiEdit": Tool("file_diff", _edit, _edit_updates),
    "Write": Tool("file_diff", _write, _write_updates),
    "NotebookEdit": Tool("file_diff", _notebook, _notebook_updates),
    "Grep": Tool("file_search", tools.search),
    "Glob": Tool("file_search", tools.search),
    "LS": Tool("dir_list", tools.path),
    "TodoWrite": Tool("planning", tools.todos),
    "TaskCreate": Tool("planning", _new_task),
    "TaskUpdate": Tool(
        "planning", tools.with_arguments("taskId", "status", "subject", "description", "activeForm")
    ),
    "TodoRead": Tool("planning_read", tools.with_arguments()),
    "TaskList": Tool("planning_read", tools.with_arguments()),
    "TaskGet": Tool("planning_read", tools.with_arguments()),
    "ExitPlanMode": Tool("plan_decision", _plan),
    "Agent": Tool("task_dispatch", _dispatch),
    "Task": Tool("task_dispatch", _dispatch),
    "WebFetch": Tool("web_lookup", _lookup, reads_errors=True),
    "WebSearch": Tool("web_lookup", _lookup, reads_errors=True),
}

TOOLS = ToolTable(_ROWS, mcp=Tool("mcp_call", _mcp, reads_errors=True))
