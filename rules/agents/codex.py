"""Codex's tools: the events of each call, by the tool's name (measured with 0.169.0)."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rules.agents import code_mode, event_data, patch_events
from rules.agents.common_tools import argument, arguments
from rules.agents.dialect import Outcome, Tool
from rules.agents.known_files import FileText, Lost, Shown, Touch
from rules.agents.patches import parse
from rules.events.envelopes import field, integer, text

Data = dict[str, Any]

_EXIT_CODE = re.compile(r"^(?:Process exited with code|Exit code:) (-?[0-9]{1,9})$", re.M)
_RUNNING = re.compile(r"^Process running with session ID ([0-9]{1,18})$", re.M)
_SCRIPT_COMPLETED = "Script completed\n"
_RUNNING_SCRIPT = re.compile(r"Script running with cell ID (\w{1,40})\n")
_WALL_TIME = re.compile(r"^Wall time: ([0-9]{1,9}(?:\.[0-9]{1,9})?) seconds$", re.M)
_OUTPUT = re.compile(r"(?:^|\n)Output:(?:\n|$)")
_MAX_HEAD_CHARACTERS = 1000
MAX_SECONDS = 10**9
_PATCHED = "Success. Updated the following files:"
_TRUNCATED = re.compile(
    r"^(?:Total output lines: |Warning: truncated output)|…[0-9]+ (?:tokens|chars) truncated…", re.M
)
_ABORTED = re.compile(r"(?:Wall time: [0-9.]{1,20} seconds\n)?(?:command )?aborted by user")
_REJECTED = re.compile(r"(?:exec command|patch) rejected by user|execution error: Rejected\(", re.I)
_NOT_RUN = re.compile(
    r"unsupported (?:custom tool )?call: |failed to parse function arguments|apply_patch verification failed"
)
# A patch passed to a shell; Codex applies it itself.
_SHELL_PATCH = re.compile(r"apply_patch <<\s*(['\"]?)(\w{1,40})\1\n(.*)\n\2\s*", re.S)
# Commands that show a file's content and nothing else.
_CAT = re.compile(r"cat (?:-- )?([\w./@+-]{1,1000})")
_SED = re.compile(r"sed -n (['\"]?)([0-9]{1,9}),([0-9]{1,9})p\1 ([\w./@+-]{1,1000})")


class _Shown(NamedTuple):
    """The result of a command: Codex's header, and the output."""

    head: str
    output: str


def tool(name: str) -> Tool:
    """The row of a tool; MCP tools and unknown tools share one row."""
    return TOOLS.get(name) or (_MCP if name.startswith("mcp__") else _OTHER)


def rejection(outcome: Outcome) -> list[tuple[str, Data]] | None:
    """The events of a call that the person rejected or aborted; None if they did neither."""
    is_aborted = _ABORTED.match(outcome.result) is not None
    if not is_aborted and not _REJECTED.match(outcome.result):
        return None
    cut = {"cutTool": outcome.name, "cutToolInput": event_data.preview(outcome.arguments)}
    interrupt = ("interrupt", {"variant": "tool_use", "subtype": "action", **cut})
    if is_aborted and tool(outcome.name).kind == "command":
        return [("command", {"command": _command_text(outcome.arguments)}), interrupt]
    return [interrupt]


def _split(result: str) -> _Shown:
    match = _OUTPUT.search(result, 0, _MAX_HEAD_CHARACTERS)
    return _Shown(result[: match.start()], result[match.end() :]) if match else _Shown("", result)


def _command_text(arguments: Any) -> str:
    """The command line; a list of words is the argument vector of a shell or program."""
    command = field(arguments, "cmd") or field(arguments, "command")
    if not isinstance(command, list):
        return text(command) or ""
    words = [each for each in command if isinstance(each, str)]
    is_shell = len(words) == 3 and words[0].rsplit("/", 1)[-1] in ("bash", "sh", "zsh") and "c" in words[1]
    return words[2] if is_shell else " ".join(words)


def _patch_in(command: str) -> str | None:
    match = _SHELL_PATCH.fullmatch(command.strip())
    return match[3] if match else None


def _command(outcome: Outcome) -> list[Data]:
    """A command that ended. A running command is a `tool_use`: its end is in a later result of write_stdin."""
    command = _command_text(outcome.arguments)
    patch = _patch_in(command)
    if patch is not None and _PATCHED in outcome.result:
        return patch_events.file_events(patch, outcome.workspace, _directory(outcome))
    shown = _split(outcome.result)
    if not command or _NOT_RUN.match(outcome.result) or _RUNNING.search(shown.head):
        return [_generic(outcome)]
    return [_ended(command, shown)]


def _ended(command: str, shown: _Shown) -> Data:
    data: Data = {"command": command, "stdout": shown.output}
    if code := _EXIT_CODE.search(shown.head):
        data["exitCode"] = int(code[1])
    if seconds := _WALL_TIME.search(shown.head):
        data["durationMs"] = round(float(seconds[1]) * 1000)
    return data


def _input(outcome: Outcome) -> list[Data]:
    """The input of a running command, and its end: the command with its exit code and all of its output."""
    shown = _split(outcome.result)
    if not _EXIT_CODE.search(shown.head):
        return [_generic(outcome)] if argument(outcome, "chars") else []
    started, outputs = _started(outcome)
    if started is None:
        return [_generic(outcome)]
    ended = _ended(_command_text(started.arguments), _Shown(shown.head, "".join([*outputs, shown.output])))
    # Only the time since the last result.
    ended.pop("durationMs", None)
    return [{**ended, "toolUseId": started.tool_use_id}]


def _started(outcome: Outcome) -> tuple[Outcome | None, list[str]]:
    """The call that started the command which this one continues, and the command's outputs since then."""
    session, outputs = _session(outcome), []
    for earlier in outcome.workspace.earlier():
        is_start = TOOLS.get(earlier.name) is _COMMAND and _running_session(earlier) == session
        if is_start or (earlier.name == outcome.name and _session(earlier) == session):
            outputs.append(_split(earlier.result).output)
        if is_start:
            return earlier, outputs[::-1]
    return None, []


def _session(outcome: Outcome) -> int | None:
    return integer(field(outcome.arguments, "session_id"))


def _running_session(outcome: Outcome) -> int | None:
    """The id of the process, if the command of the call still runs."""
    running = _RUNNING.search(_split(outcome.result).head)
    return int(running[1]) if running else None


def _touch_command(outcome: Outcome) -> list[Touch]:
    command, shown = _command_text(outcome.arguments), _split(outcome.result)
    patch = _patch_in(command)
    if patch is not None:
        return patch_events.touches(patch, _directory(outcome)) if _PATCHED in outcome.result else []
    code = _EXIT_CODE.search(shown.head)
    if code is None or int(code[1]) or _TRUNCATED.search(outcome.result):
        return []
    path, content = _shown_file(command, shown.output)
    return [Shown(posixpath.join(_directory(outcome), path), content)] if content is not None else []


def _shown_file(command: str, output: str) -> tuple[str, FileText | None]:
    if cat := _CAT.fullmatch(command.strip()):
        return cat[1], FileText(output)
    sed = _SED.fullmatch(command.strip())
    if sed is None or not output:
        return "", None
    first, last = int(sed[2]), int(sed[3])
    is_whole = first == 1 and output.count("\n") < last
    return sed[4], FileText(output, first, is_whole)


def _directory(outcome: Outcome) -> str:
    """The call's own working directory, if it has one."""
    return argument(outcome, "workdir")


def _patch_text(outcome: Outcome) -> str:
    """The patch; older models send it as a field."""
    return text(outcome.arguments) or argument(outcome, "input")


def _patch(outcome: Outcome) -> list[Data]:
    events = (
        patch_events.file_events(_patch_text(outcome), outcome.workspace)
        if _PATCHED in outcome.result
        else []
    )
    return events or [event_data.tool_use(outcome._replace(is_error=True))]


def _touch_patch(outcome: Outcome) -> list[Touch]:
    patch = _patch_text(outcome)
    if _PATCHED in outcome.result:
        return patch_events.touches(patch)
    # A patch that failed may have changed some of its files.
    has_begun = not _NOT_RUN.match(outcome.result)
    return [Lost(change.path) for change in parse(patch)] if has_begun else []


def _script(outcome: Outcome) -> list[Data]:
    """A script of code mode, and the calls that it certainly made."""
    return [_generic(outcome), *_inner(outcome, outcome)]


def _script_end(outcome: Outcome) -> list[Data]:
    """The end of a script that outlasted its first call."""
    cell = argument(outcome, "cell_id")
    scripts = (each for each in outcome.workspace.earlier() if cell and _running_cell(each) == cell)
    script = next(scripts, None)
    return [_generic(outcome), *(_inner(script, outcome) if script else [])]


def _running_cell(outcome: Outcome) -> str | None:
    running = _RUNNING_SCRIPT.match(outcome.result) if outcome.name == "exec" else None
    return running[1] if running else None


def _inner(script: Outcome, end: Outcome) -> Iterator[Data]:
    """The data of a script's patches, and of its command if the result has its exit code.

    end -- the call with the result
    """
    source = text(script.arguments) or ""
    if not end.result.startswith(_SCRIPT_COMPLETED):
        return
    for number, call in enumerate(code_mode.calls(source)):
        ids = {"toolUseId": f"{script.tool_use_id}:{number}", "parentToolUseId": script.tool_use_id}
        if call.name == "apply_patch" and isinstance(call.argument, str):
            yield from (data | ids for data in patch_events.file_events(call.argument, end.workspace))
        elif call.name == "exec_command" and (printed := _printed(source, end.result)):
            yield {"kind": "command", **_printed_command(call.argument, printed), **ids}


def _printed(source: str, result: str) -> Data | None:
    """The printed result of a script's only command; None if it was not printed or the command still runs."""
    lines = (line for line in _split(result).output.split("\n") if line.startswith('{"'))
    ended = [each for line in lines if _is_ended(each := event_data.parsed_arguments(line))]
    return ended[0] if len(ended) == 1 and source.count("exec_command") == 1 else None


def _is_ended(printed: Any) -> bool:
    return integer(field(printed, "exit_code")) is not None and text(field(printed, "output")) is not None


def _printed_command(arguments: Any, printed: Data) -> Data:
    data = {
        "command": _command_text(arguments),
        "exitCode": printed["exit_code"],
        "stdout": printed["output"],
    }
    seconds = printed.get("wall_time_seconds")
    if isinstance(seconds, float) and 0 <= seconds < MAX_SECONDS:
        data["durationMs"] = round(seconds * 1000)
    return data


def _touch_script(outcome: Outcome) -> list[Touch]:
    """A script that failed may have changed some of the files of its patches."""
    source = text(outcome.arguments) or ""
    calls = code_mode.calls(source) if "apply_patch" in source else []
    patches = [
        call.argument for call in calls if call.name == "apply_patch" and isinstance(call.argument, str)
    ]
    touches = [touch for patch in patches for touch in patch_events.touches(patch)]
    is_completed = outcome.result.startswith(_SCRIPT_COMPLETED)
    return touches if is_completed else [Lost(touch.path) for touch in touches]


def _plan(outcome: Outcome) -> list[Data]:
    steps = field(outcome.arguments, "plan")
    if not isinstance(steps, list) or _NOT_RUN.match(outcome.result):
        return [_generic(outcome)]
    return [{"toolName": outcome.name, "todos": steps, "itemCount": len(steps)}]


def _image(outcome: Outcome) -> list[Data]:
    return [{"path": outcome.workspace.relative(argument(outcome, "path"))}]


def _dispatch(outcome: Outcome) -> list[Data]:
    task = argument(outcome, "message")
    data = {"taskPreview": event_data.preview(task), "toolName": outcome.name}
    agent_id = text(field(event_data.parsed_arguments(outcome.result), "agent_id"))
    return [data | ({"agentId": agent_id} if agent_id else {})]


def _lookup(outcome: Outcome) -> list[Data]:
    return [{"toolName": outcome.name, **arguments(outcome, "query", "url", "pattern")}]


def _mcp(outcome: Outcome) -> list[Data]:
    return [{"tool": outcome.name, "argsPreview": event_data.preview(outcome.arguments)}]


def _other(outcome: Outcome) -> list[Data]:
    return [_generic(outcome)]


def _generic(outcome: Outcome) -> Data:
    has_failed = _NOT_RUN.match(outcome.result) or outcome.result.startswith("Script failed\n")
    return event_data.tool_use(outcome._replace(is_error=True) if has_failed else outcome)


_OTHER = Tool("tool_use", _other)
_MCP = Tool("mcp_call", _mcp)
_COMMAND = Tool("command", _command, _touch_command, reads_errors=True)

TOOLS: Mapping[str, Tool] = {
    "exec_command": _COMMAND,
    "shell": _COMMAND,
    "shell_command": _COMMAND,
    "local_shell": _COMMAND,
    "container.exec": _COMMAND,
    "write_stdin": Tool("command", _input, reads_errors=True),
    "apply_patch": Tool("file_diff", _patch, _touch_patch, reads_errors=True),
    "exec": Tool("tool_use", _script, _touch_script),
    "wait": Tool("tool_use", _script_end),
    "update_plan": Tool("planning", _plan),
    "view_image": Tool("file_read", _image),
    "spawn_agent": Tool("task_dispatch", _dispatch),
    "web_search": Tool("web_lookup", _lookup),
}
