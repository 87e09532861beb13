"""opencode's tools and its user messages (measured with 1.18.33)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rules.agents import common_tools, event_data, patch_events
from rules.agents.common_tools import argument, arguments
from rules.agents.dialect import Outcome, Tool
from rules.agents.diffs import count_lines
from rules.agents.known_files import Edited, FileText, Lost, Shown, Touch, edit
from rules.agents.patches import parse
from rules.events.envelopes import field

Data = dict[str, Any]
Said = tuple[str, Data]  # an event's kind and data

_NO_OUTPUT = "(no output)"
_SHELL_METADATA = "\n\n<shell_metadata>\n"
_EDITED = "Edit applied successfully."
_WRITTEN = "Wrote file successfully."
_PATCHED = "Success. Updated the following files:"
_CONTENT = "<type>file</type>\n<content>\n"
_CONTENT_END = re.compile(
    r"\n\n\((?:(End of file - total )|Showing lines |Output capped )[^\n]{1,200}\)\n</content>"
)
_DIRECTORY = "<type>directory</type>"
# After the path.
_HEAD_CHARACTERS = 5000
_LINE = re.compile(r"([0-9]{1,9}): (.*)")
_LONG_LINE = "... (line truncated to 2000 chars)"
_REJECTED = re.compile(r"The user (?:rejected permission to use|dismissed)|Tool execution aborted")
_ABORTED = "Tool execution aborted"
_INVALID = "The arguments provided to the tool are invalid: "

SUMMARY = "What did we do so far?"
_ADDED = (
    SUMMARY,
    "Generate a title for this conversation:",
    "Continue if you have next steps, or stop and ask for clarification",
    "Called the Read tool with the following input:",
    "Called the list tool with the following input:",
    "Reading MCP resource: ",
    "The following tool was executed by the user",
    "Summarize the task tool output above and continue with your task.",
    "Attached media from tool result:",
    "ERROR: Cannot read ",
    "<path>",
    "<system-reminder>",
)


def tool(name: str) -> Tool:
    """The row of a tool. opencode names the tools of MCP servers like its own, so they count as unknown."""
    return TOOLS.get(name, _OTHER)


def said(texts: Sequence[str]) -> list[Said]:
    """The person's input in the texts between two responses, in order."""
    words = (text.strip() for text in texts)
    return [("prompt", {"text": each}) for each in words if each and not each.startswith(_ADDED)]


def rejection(outcome: Outcome) -> list[Said] | None:
    """The events of a call that the person rejected or aborted; None if they did neither."""
    if not _REJECTED.match(outcome.result):
        return None
    cut = {"cutTool": outcome.name, "cutToolInput": event_data.preview(outcome.arguments)}
    interrupt = ("interrupt", {"variant": "tool_use", "subtype": "action", **cut})
    if outcome.name == "bash" and outcome.result.startswith(_ABORTED):
        return [("command", {"command": argument(outcome, "command")}), interrupt]
    return [interrupt]


def _path(outcome: Outcome) -> str:
    return outcome.workspace.relative(argument(outcome, "filePath"))


def _command(outcome: Outcome) -> list[Data]:
    """A command without its exit code, which opencode does not report to the model."""
    output, _, _ = outcome.result.partition(_SHELL_METADATA)
    return [{"command": argument(outcome, "command"), "stdout": "" if output == _NO_OUTPUT else output}]


def _read(outcome: Outcome) -> list[Data]:
    if _DIRECTORY in outcome.result[:_HEAD_CHARACTERS]:
        return [{"kind": "dir_list", "path": _path(outcome)}]
    content = _content(outcome.result)
    if content is None:
        return [{"path": _path(outcome)}]
    lengths = {"contentLength": len(content.text), "numLines": count_lines(content.text)}
    return [{"path": _path(outcome), **lengths}]


def _content(result: str) -> FileText | None:
    """The content of a file. The result does not show whether the file ends with a line end; most files do."""
    _, _, content = result.partition(_CONTENT)
    end = _CONTENT_END.search(content)
    lines = [_LINE.fullmatch(line) for line in content[: end.start()].split("\n")] if end else []
    shown = [line for line in lines if line is not None]
    if end is None or not shown or len(shown) < len(lines) or _LONG_LINE in content:
        return None
    first = int(shown[0][1])
    return FileText("".join(f"{line[2]}\n" for line in shown), first, first == 1 and end[1] is not None)


def _touch_read(outcome: Outcome) -> list[Touch]:
    content = _content(outcome.result)
    return [Shown(argument(outcome, "filePath"), content)] if content is not None else []


def _replacement(outcome: Outcome) -> Edited:
    is_each = field(outcome.arguments, "replaceAll") is True
    old, new = argument(outcome, "oldString"), argument(outcome, "newString")
    return Edited(argument(outcome, "filePath"), old, new, is_each)


def _edit(outcome: Outcome) -> list[Data]:
    if not outcome.result.startswith(_EDITED):
        return [_failed(outcome)]
    change = _replacement(outcome)
    before = outcome.workspace.content(change.path)
    if not change.old:
        return [_written(outcome, change.new)]
    after = edit(before, change) if before else None
    strings = {"oldString": change.old, "newString": change.new}
    if before is None or after is None:
        return [event_data.partial_change(_path(outcome), change.old, change.new) | strings]
    return [event_data.file_changed(_path(outcome), before, after.text) | strings]


def _touch_edit(outcome: Outcome) -> list[Touch]:
    if not outcome.result.startswith(_EDITED):
        return []
    change = _replacement(outcome)
    return [change if change.old else Shown(change.path, FileText(change.new))]


def _write(outcome: Outcome) -> list[Data]:
    if not outcome.result.startswith(_WRITTEN):
        return [_failed(outcome)]
    return [_written(outcome, argument(outcome, "content"))]


def _written(outcome: Outcome, content: str) -> Data:
    """A file that the conversation has not shown is new: opencode requires reading a file before overwriting it."""
    before = outcome.workspace.content(argument(outcome, "filePath"))
    if before is None:
        return event_data.file_created(_path(outcome), content)
    if not before.is_whole:
        return event_data.partial_change(_path(outcome), "", content) | {"content": content}
    return event_data.file_changed(_path(outcome), before, content) | {"content": content}


def _touch_write(outcome: Outcome) -> list[Touch]:
    if not outcome.result.startswith(_WRITTEN):
        return []
    return [Shown(argument(outcome, "filePath"), FileText(argument(outcome, "content")))]


def _patch(outcome: Outcome) -> list[Data]:
    patch = argument(outcome, "patchText")
    events = patch_events.file_events(patch, outcome.workspace) if _PATCHED in outcome.result else []
    return events or [_failed(outcome)]


def _touch_patch(outcome: Outcome) -> list[Touch]:
    patch = argument(outcome, "patchText")
    if _PATCHED in outcome.result:
        return patch_events.touches(patch)
    return [Lost(change.path) for change in parse(patch)]


def _dispatch(outcome: Outcome) -> list[Data]:
    task = argument(outcome, "prompt") or argument(outcome, "description")
    agent_type = argument(outcome, "subagent_type")
    return [{"taskPreview": event_data.preview(task), **({"agentType": agent_type} if agent_type else {})}]


def _lookup(outcome: Outcome) -> list[Data]:
    return [{"toolName": outcome.name, **arguments(outcome, "query", "url")}]


def _other(outcome: Outcome) -> list[Data]:
    return [_failed(outcome) if outcome.result.startswith(_INVALID) else event_data.tool_use(outcome)]


def _failed(outcome: Outcome) -> Data:
    return event_data.tool_use(outcome._replace(is_error=True))


_OTHER = Tool("tool_use", _other)

TOOLS: Mapping[str, Tool] = {
    "bash": Tool("command", _command, reads_errors=True),
    "read": Tool("file_read", _read, _touch_read),
    "edit": Tool("file_diff", _edit, _touch_edit),
    "write": Tool("file_diff", _write, _touch_write),
    "apply_patch": Tool("file_diff", _patch, _touch_patch),
    "grep": Tool("file_search", common_tools.search),
    "glob": Tool("file_search", common_tools.search),
    "todowrite": Tool("planning", common_tools.todos),
    "todoread": Tool("planning_read", common_tools.tool_name),
    "task": Tool("task_dispatch", _dispatch),
    "webfetch": Tool("web_lookup", _lookup, reads_errors=True),
    "websearch": Tool("web_lookup", _lookup, reads_errors=True),
}
