"""opencode: its tools and user messages (verified with 1.18.33)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rules.agents import event_data, tools
from rules.agents.files import patch_events
from rules.agents.files.diffs import count_lines
from rules.agents.files.known_files import Edit, FileText, FileUpdate, Invalidation, Snapshot, apply_edit
from rules.agents.files.patches import parse
from rules.agents.tools import Outcome, Tool, ToolTable, argument, tool_use
from rules.agents.unknown_agent import Agent, UnknownAgent, has_tools, system_directory
from rules.agents.values import Event, without_none
from rules.events.envelopes import field, integer, label, text

Data = dict[str, Any]

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
# The path precedes this at the start of the result.
_HEADER_CHARACTERS = 5000
_LINE = re.compile(r"([0-9]{1,9}): (.*)")
_LONG_LINE = "... (line truncated to 2000 chars)"
_REJECTED = re.compile(r"The user (?:rejected permission to use|dismissed)|Tool execution aborted")
_ABORTED = "Tool execution aborted"
_INVALID = "The arguments provided to the tool are invalid: "
_SUMMARY_PROMPT = "What did we do so far?"
# Prefixes of text that opencode injects into user messages.
_INJECTED = (
    _SUMMARY_PROMPT,
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


def _path(outcome: Outcome) -> str:
    return outcome.workspace.relative(argument(outcome, "filePath"))


def _command(outcome: Outcome) -> list[Data]:
    """Return a command without its exit code, which only the plugin reports."""
    output, _, _ = outcome.result.partition(_SHELL_METADATA)
    return [{"command": argument(outcome, "command"), "stdout": "" if output == _NO_OUTPUT else output}]


def hook_events(tool_use_id: str, name: str, hook: Mapping[str, Any]) -> list[Event]:
    """Return a command's event from the plugin (`opencode_plugin` in rules/workspace_files.py)."""
    if name != "bash":
        return []
    result, exit_code = text(hook.get("tool_response")) or "", integer(hook.get("exit_code"))
    outcome = Outcome(tool_use_id, name, hook.get("tool_input"), result, None)
    return [("command", data | without_none(exitCode=exit_code)) for data in _command(outcome)]


def _read(outcome: Outcome) -> list[Data]:
    if _DIRECTORY in outcome.result[:_HEADER_CHARACTERS]:
        return [{"kind": "dir_list", "path": _path(outcome)}]
    content = _content(outcome.result)
    if content is None:
        return [{"path": _path(outcome)}]
    lengths = {"contentLength": len(content.text), "numLines": count_lines(content.text)}
    return [{"path": _path(outcome), **lengths}]


def _content(result: str) -> FileText | None:
    """Read a file's content. Assumes a final newline: the result does not include it, but most files have one."""
    _, _, content = result.partition(_CONTENT)
    end = _CONTENT_END.search(content)
    lines = [_LINE.fullmatch(line) for line in content[: end.start()].split("\n")] if end else []
    numbered = [line for line in lines if line is not None]
    if end is None or not numbered or len(numbered) < len(lines) or _LONG_LINE in content:
        return None
    first = int(numbered[0][1])
    return FileText("".join(f"{line[2]}\n" for line in numbered), first, first == 1 and end[1] is not None)


def _read_updates(outcome: Outcome) -> list[FileUpdate]:
    content = _content(outcome.result)
    return [Snapshot(argument(outcome, "filePath"), content)] if content is not None else []


def _replacement(outcome: Outcome) -> Edit:
    replaces_all = field(outcome.arguments, "replaceAll") is True
    old, new = argument(outcome, "oldString"), argument(outcome, "newString")
    return Edit(argument(outcome, "filePath"), old, new, replaces_all)


def _edit(outcome: Outcome) -> list[Data]:
    if not outcome.result.startswith(_EDITED):
        return [_failed_call(outcome)]
    edit = _replacement(outcome)
    before = outcome.workspace.content(edit.path)
    if not edit.old:
        return [_write_event(outcome, edit.new)]
    after = apply_edit(before, edit) if before else None
    strings = {"oldString": edit.old, "newString": edit.new}
    if before is None or after is None:
        return [event_data.partial_change(_path(outcome), edit.old, edit.new) | strings]
    return [event_data.file_change(_path(outcome), before, after.text) | strings]


def _edit_updates(outcome: Outcome) -> list[FileUpdate]:
    if not outcome.result.startswith(_EDITED):
        return []
    edit = _replacement(outcome)
    return [edit if edit.old else Snapshot(edit.path, FileText(edit.new))]


def _write(outcome: Outcome) -> list[Data]:
    if not outcome.result.startswith(_WRITTEN):
        return [_failed_call(outcome)]
    return [_write_event(outcome, argument(outcome, "content"))]


def _write_event(outcome: Outcome, content: str) -> Data:
    """Build a write event. A file that was never read is new: opencode requires reading before overwriting."""
    before = outcome.workspace.content(argument(outcome, "filePath"))
    if before is None:
        return event_data.file_creation(_path(outcome), content)
    if not before.is_whole:
        return event_data.partial_change(_path(outcome), "", content) | {"content": content}
    return event_data.file_change(_path(outcome), before, content) | {"content": content}


def _write_updates(outcome: Outcome) -> list[FileUpdate]:
    if not outcome.result.startswith(_WRITTEN):
        return []
    return [Snapshot(argument(outcome, "filePath"), FileText(argument(outcome, "content")))]


def _patch(outcome: Outcome) -> Iterable[Data]:
    patch = argument(outcome, "patchText")
    if _PATCHED in outcome.result and parse(patch):
        return patch_events.file_events(patch, outcome.workspace)
    return [_failed_call(outcome)]


def _patch_updates(outcome: Outcome) -> list[FileUpdate]:
    patch = argument(outcome, "patchText")
    if _PATCHED in outcome.result:
        return patch_events.file_updates(patch)
    return [Invalidation(change.path) for change in parse(patch)]


def _dispatch(outcome: Outcome) -> list[Data]:
    task = argument(outcome, "prompt") or argument(outcome, "description")
    agent_type = argument(outcome, "subagent_type")
    return [{"taskPreview": event_data.preview(task), **({"agentType": agent_type} if agent_type else {})}]


def _other(outcome: Outcome) -> list[Data]:
    return [_failed_call(outcome) if outcome.result.startswith(_INVALID) else tool_use(outcome)]


def _failed_call(outcome: Outcome) -> Data:
    return tool_use(outcome._replace(is_error=True))


_LOOKUP = Tool("web_lookup", tools.with_arguments("query", "url"), reads_errors=True)
_ROWS = {
    "bash": Tool("command", _command, reads_errors=True),
    "read": Tool("file_read", _read, _read_updates),
    "edit": Tool("file_diff", _edit, _edit_updates),
    "write": Tool("file_diff", _write, _write_updates),
    "apply_patch": Tool("file_diff", _patch, _patch_updates),
    "grep": Tool("file_search", tools.search),
    "glob": Tool("file_search", tools.search),
    "todowrite": Tool("planning", tools.todos),
    "todoread": Tool("planning_read", tools.with_arguments()),
    "task": Tool("task_dispatch", _dispatch),
    "webfetch": _LOOKUP,
    "websearch": _LOOKUP,
}


class OpenCode(UnknownAgent):
    """opencode. Its MCP tools have no prefix, so they are treated as unknown tools."""

    name = "opencode"
    user_agent = re.compile(r"opencode/([\w.+-]{1,40})")
    tools = ToolTable(_ROWS, other=Tool("tool_use", _other))

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        """Identify the agent. A subagent's session has a parent."""
        agent, parent = super().identify(headers, body), label(headers.get("x-parent-session-id"))
        return agent._replace(session=parent, agent_id=agent.session) if parent else agent

    def user_events(self, texts: Sequence[str]) -> list[Event]:
        prompts = (text.strip() for text in texts)
        return [("prompt", {"text": text}) for text in prompts if text and not text.startswith(_INJECTED)]

    def asks_for_summary(self, text: str) -> bool:
        return text == _SUMMARY_PROMPT

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Return whether this is a title or summary call, which has no tools."""
        return not has_tools(body)

    def rejection(self, outcome: Outcome) -> list[Event] | None:
        if not _REJECTED.match(outcome.result):
            return None
        data = {"variant": "tool_use", "subtype": "action", "cutTool": outcome.name}
        interrupt = ("interrupt", data | {"cutToolInput": event_data.preview(outcome.arguments)})
        if outcome.name == "bash" and outcome.result.startswith(_ABORTED):
            return [("command", {"command": argument(outcome, "command")}), interrupt]
        return [interrupt]

    def directory(self, body: Mapping[str, Any]) -> str | None:
        return system_directory(body)
