"""Claude Code's tools: the events of each call, by the tool's name (measured with 2.1.197)."""

import re
from collections.abc import Mapping
from typing import Any

from rules.agents import common_tools, event_data
from rules.agents.common_tools import argument, arguments
from rules.agents.dialect import Outcome, Tool
from rules.agents.diffs import count_lines
from rules.agents.known_files import Edited, FileText, Lost, Shown, Touch, edit, read_numbered_lines
from rules.events.envelopes import field, integer, text

Data = dict[str, Any]

MAX_PLAN_CHARACTERS = 4000
# Limits on the edits of one call, and on the characters that they search; a call beyond them is generic.
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
_REJECTED = re.compile(
    r"(?:The user doesn't want to (?:proceed with this tool use|take this action right now)|User rejected )"
)
_FEEDBACK = re.compile(r"(?:To tell you how to proceed, the user said|The user said):\n(.*)", re.S)
_APPROVED_PLAN = re.compile(r"## Approved Plan[^\n]*:\n(.*)", re.S)


def tool(name: str) -> Tool:
    """The row of a tool; MCP tools and unknown tools share one row."""
    return TOOLS.get(name) or (_MCP if name.startswith("mcp__") else _OTHER)


def rejection(outcome: Outcome) -> list[tuple[str, Data]] | None:
    """The events of a call that the person rejected or interrupted, which look the same; None for other calls."""
    if not outcome.is_error or _REJECTED.match(outcome.result) is None:
        return None
    said = _feedback(outcome.result)
    if outcome.name == "ExitPlanMode":
        return [("plan_decision", _rejected_plan(outcome, said))]
    interrupt = {"variant": "tool_use", "subtype": "action", "cutTool": outcome.name}
    interrupt["cutToolInput"] = event_data.preview(outcome.arguments)
    prompt = {"text": said, "followsInterrupt": True}
    return [("interrupt", interrupt), *([("prompt", prompt)] if said else [])]


def _feedback(result: str) -> str | None:
    """The person's message with a rejection."""
    match = _FEEDBACK.search(result)
    return match[1].split("\n\nNote: The user's next message may", 1)[0].strip() if match else None


def _path(outcome: Outcome) -> str:
    return next(iter(arguments(outcome, "file_path", "notebook_path", "path").values()), "")


def _shown_path(outcome: Outcome) -> str:
    return outcome.workspace.relative(_path(outcome))


def _command(outcome: Outcome) -> list[Data]:
    """A command that ran; a denied command is a failed call."""
    data: Data = {"command": argument(outcome, "command")}
    exit_code = _EXIT_CODE.match(outcome.result) if outcome.is_error else None
    if exit_code:
        return [data | {"exitCode": int(exit_code[1]), "stdout": outcome.result[exit_code.end() :]}]
    data["stdout"] = "" if outcome.result == _NO_OUTPUT else outcome.result
    if outcome.result.endswith(_ABORTED):
        return [data]
    if outcome.is_error:
        return [event_data.tool_use(outcome)]
    is_in_background = _IN_BACKGROUND.search(outcome.result) is not None
    return [data | ({"isBackground": True} if is_in_background else {"exitCode": 0})]


def _read(outcome: Outcome) -> list[Data]:
    data: Data = {"path": _shown_path(outcome)}
    content = _read_content(outcome)
    if content is not None:
        data |= {"contentLength": len(content.text), "numLines": count_lines(content.text)}
    return [data]


def _read_content(outcome: Outcome) -> FileText | None:
    offset, limit = (integer(field(outcome.arguments, name)) for name in ("offset", "limit"))
    if _EMPTY_FILE.match(outcome.result):
        return FileText("") if offset is None else None
    is_cut = _TRUNCATED in outcome.result[:1000]
    return read_numbered_lines(outcome.result, limit=limit, is_cut=is_cut)


def _touch_read(outcome: Outcome) -> list[Touch]:
    content = _read_content(outcome)
    return [Shown(_path(outcome), content)] if content is not None else []


def _edits(outcome: Outcome) -> list[Edited]:
    """The edits of Edit, or of MultiEdit in older versions."""
    edits = field(outcome.arguments, "edits")
    return [
        Edited(
            _path(outcome),
            text(field(each, "old_string")) or "",
            text(field(each, "new_string")) or "",
            field(each, "replace_all") is True,
            removes_line_end=True,
            ignores_quotes=True,
        )
        for each in (edits if isinstance(edits, list) else [outcome.arguments])
    ]


def _edit(outcome: Outcome) -> list[Data]:
    path, edits = _shown_path(outcome), _edits(outcome)
    if not 0 < len(edits) <= MAX_EDITS:
        return [event_data.tool_use(outcome)]
    before = outcome.workspace.content(_path(outcome))
    if not edits[0].old:
        return [_fill(path, before, edits[0].new)]
    after = before and _apply(before, edits)
    if before is None or after is None:
        return [_with_strings(event_data.partial_change(path, each.old, each.new), each) for each in edits]
    data = event_data.file_changed(path, before, after.text)
    return [_with_strings(data, edits[0]) if len(edits) == 1 else data]


def _fill(path: str, before: FileText | None, content: str) -> Data:
    """An edit without an old text creates a file, or fills an empty one."""
    return (
        event_data.file_created(path, content)
        if before is None
        else event_data.file_changed(path, before, content)
    )


def _apply(content: FileText, edits: list[Edited]) -> FileText | None:
    after: FileText | None = content if len(content.text) * len(edits) <= MAX_SEARCHED_CHARACTERS else None
    for each in edits:
        after = after and edit(after, each)
    return after


def _with_strings(data: Data, change: Edited) -> Data:
    return data | {"oldString": change.old, "newString": change.new}


def _touch_edit(outcome: Outcome) -> list[Touch]:
    edits = _edits(outcome)
    if len(edits) != 1:
        return [Lost(_path(outcome))]
    return [edits[0] if edits[0].old else Shown(_path(outcome), FileText(edits[0].new))]


def _write(outcome: Outcome) -> list[Data]:
    path, content = _shown_path(outcome), argument(outcome, "content")
    if outcome.result.startswith(_CREATED):
        return [event_data.file_created(path, content)]
    before = outcome.workspace.content(_path(outcome))
    if before is None or not before.is_whole:
        return [event_data.partial_change(path, "", content) | {"content": content}]
    return [event_data.file_changed(path, before, content) | {"content": content}]


def _touch_write(outcome: Outcome) -> list[Touch]:
    return [Shown(_path(outcome), FileText(argument(outcome, "content")))]


def _notebook(outcome: Outcome) -> list[Data]:
    """A notebook edit: the conversation shows only cells, never the file."""
    new = argument(outcome, "new_source")
    return [event_data.partial_change(_shown_path(outcome), "", new) | {"newString": new}]


def _touch_notebook(outcome: Outcome) -> list[Touch]:
    return [Lost(_path(outcome))]


def _listing(outcome: Outcome) -> list[Data]:
    return [{"path": _shown_path(outcome)}]


def _new_task(outcome: Outcome) -> list[Data]:
    number = re.match(r"Task #(\w{1,40}) created", outcome.result)
    names = ("subject", "description", "activeForm")
    data: Data = {"toolName": outcome.name, **arguments(outcome, *names)}
    return [data | ({"taskId": number[1]} if number else {})]


def _task(outcome: Outcome) -> list[Data]:
    names = ("taskId", "status", "subject", "description", "activeForm")
    return [{"toolName": outcome.name, **arguments(outcome, *names)}]


def _plan(outcome: Outcome) -> list[Data]:
    approved = _APPROVED_PLAN.search(outcome.result)
    plan = argument(outcome, "plan") or (approved[1] if approved else "")
    shown = event_data.shortened(plan, MAX_PLAN_CHARACTERS)
    return [{"planPreview": shown, "responsePreview": "approved", "approved": True}]


def _rejected_plan(outcome: Outcome, said: str | None) -> Data:
    plan = event_data.shortened(argument(outcome, "plan"), MAX_PLAN_CHARACTERS)
    return {"planPreview": plan, "responsePreview": said or "rejected", "approved": False}


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


_OTHER = Tool("tool_use", common_tools.other)
_MCP = Tool("mcp_call", _mcp, reads_errors=True)

TOOLS: Mapping[str, Tool] = {
    "Bash": Tool("command", _command, reads_errors=True),
    "PowerShell": Tool("command", _command, reads_errors=True),
    "Read": Tool("file_read", _read, _touch_read),
    "Edit": Tool("file_diff", _edit, _touch_edit),
    "MultiEdit": Tool("file_diff", _edit, _touch_edit),
    "Write": Tool("file_diff", _write, _touch_write),
    "NotebookEdit": Tool("file_diff", _notebook, _touch_notebook),
    "Grep": Tool("file_search", common_tools.search),
    "Glob": Tool("file_search", common_tools.search),
    "LS": Tool("dir_list", _listing),
    "TodoWrite": Tool("planning", common_tools.todos),
    "TaskCreate": Tool("planning", _new_task),
    "TaskUpdate": Tool("planning", _task),
    "TodoRead": Tool("planning_read", common_tools.tool_name),
    "TaskList": Tool("planning_read", common_tools.tool_name),
    "TaskGet": Tool("planning_read", common_tools.tool_name),
    "ExitPlanMode": Tool("plan_decision", _plan),
    "Agent": Tool("task_dispatch", _dispatch),
    "Task": Tool("task_dispatch", _dispatch),
    "WebFetch": Tool("web_lookup", _lookup, reads_errors=True),
    "WebSearch": Tool("web_lookup", _lookup, reads_errors=True),
}
