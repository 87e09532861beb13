"""Codex's tool table (verified with 0.169.0)."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from rules.agents import event_data, tools
from rules.agents.codex import code_mode
from rules.agents.files import patch_events
from rules.agents.files.known_files import FileText, FileUpdate, Invalidation, Snapshot
from rules.agents.files.patches import parse
from rules.agents.tools import Outcome, Tool, ToolTable, argument, tool_use
from rules.events.envelopes import field, integer, text

Data = dict[str, Any]

_EXIT_CODE = re.compile(r"^(?:Process exited with code|Exit code:) (-?[0-9]{1,9})$", re.M)
_RUNNING = re.compile(r"^Process running with session ID ([0-9]{1,18})$", re.M)
_SCRIPT_COMPLETED = "Script completed\n"
_RUNNING_SCRIPT = re.compile(r"Script running with cell ID (\w{1,40})\n")
_WALL_TIME = re.compile(r"^Wall time: ([0-9]{1,9}(?:\.[0-9]{1,9})?) seconds$", re.M)
_OUTPUT = re.compile(r"(?:^|\n)Output:(?:\n|$)")
_MAX_HEADER_CHARACTERS = 1000
MAX_SECONDS = 10**9
MAX_SCRIPT_EVENTS = 1_000
_PATCHED = "Success. Updated the following files:"
_TRUNCATED = re.compile(
    r"^(?:Total output lines: |Warning: truncated output)|…[0-9]+ (?:tokens|chars) truncated…", re.M
)
_NOT_RUN = re.compile(
    r"unsupported (?:custom tool )?call: |failed to parse function arguments|apply_patch verification failed"
)
# A patch passed to a shell, which Codex intercepts and applies.
_SHELL_PATCH = re.compile(r"apply_patch <<\s*(['\"]?)(\w{1,40})\1\n(.*)\n\2\s*", re.S)
# Commands that print only a file's content.
_CAT = re.compile(r"cat (?:-- )?([\w./@+-]{1,1000})")
_SED = re.compile(r"sed -n (['\"]?)([0-9]{1,9}),([0-9]{1,9})p\1 ([\w./@+-]{1,1000})")


class _CommandResult(NamedTuple):
    """A command's result: Codex's header, and the output."""

    header: str
    output: str


def _split_result(result: str) -> _CommandResult:
    match = _OUTPUT.search(result, 0, _MAX_HEADER_CHARACTERS)
    if match is None:
        return _CommandResult("", result)
    return _CommandResult(result[: match.start()], result[match.end() :])


def command_text(arguments: Any) -> str:
    """Return the command line. Some tools pass an argument vector of a shell or program."""
    command = field(arguments, "cmd") or field(arguments, "command")
    if not isinstance(command, list):
        return text(command) or ""
    words = [word for word in command if isinstance(word, str)]
    is_shell = len(words) == 3 and words[0].rsplit("/", 1)[-1] in ("bash", "sh", "zsh") and "c" in words[1]
    return words[2] if is_shell else " ".join(words)


def _extract_patch(command: str) -> str | None:
    match = _SHELL_PATCH.fullmatch(command.strip())
    return match[3] if match else None


def _command(outcome: Outcome) -> Iterable[Data]:
    """Return a command. If it is still running, the result of a write_stdin call becomes a second event."""
    command = command_text(outcome.arguments)
    patch = _extract_patch(command)
    if patch is not None and _PATCHED in outcome.result:
        return patch_events.file_events(patch, outcome.workspace, _directory(outcome))
    header, output = _split_result(outcome.result)
    if not command or _NOT_RUN.match(outcome.result):
        return [_generic(outcome)]
    data: Data = {"command": command, "stdout": output}
    if running := _RUNNING.search(header):
        return [data | {"processId": int(running[1])}]
    if code := _EXIT_CODE.search(header):
        data["exitCode"] = int(code[1])
    if seconds := _WALL_TIME.search(header):
        data["durationMs"] = round(float(seconds[1]) * 1000)
    return [data]


def _input(outcome: Outcome) -> list[Data]:
    """Return the complete command if it has finished, otherwise the input to it, if any."""
    exit_code = _EXIT_CODE.search(_split_result(outcome.result).header)
    start, output = _start_and_output(outcome) if exit_code else (None, "")
    if not exit_code or start is None:
        return [_generic(outcome)] if argument(outcome, "chars") else []
    return [
        {
            "command": command_text(start.arguments),
            "stdout": output,
            "exitCode": int(exit_code[1]),
            "toolUseId": start.tool_use_id,
        }
    ]


def _start_and_output(outcome: Outcome) -> tuple[Outcome | None, str]:
    """Find the call that started a running command, and concatenate the output since then."""
    session, outputs = _session(outcome), [_split_result(outcome.result).output]
    for earlier in outcome.workspace.earlier():
        is_start = TOOLS.rows.get(earlier.name) is _COMMAND and _running_session(earlier) == session
        if is_start or (earlier.name == outcome.name and _session(earlier) == session):
            outputs.append(_split_result(earlier.result).output)
        if is_start:
            return earlier, "".join(reversed(outputs))
    return None, ""


def _session(outcome: Outcome) -> int | None:
    return integer(field(outcome.arguments, "session_id"))


def running_call(event: Data) -> Outcome:
    """Restore the call that started a running command from its event."""
    result = f"Process running with session ID {event['processId']}\nOutput:\n{event['stdout']}"
    return Outcome(event["toolUseId"], "exec_command", {"cmd": event["command"]}, result, None)


def _running_session(outcome: Outcome) -> int | None:
    """Return the process id if the call's command is still running."""
    running = _RUNNING.search(_split_result(outcome.result).header)
    return int(running[1]) if running else None


def _command_updates(outcome: Outcome) -> list[FileUpdate]:
    command, result = command_text(outcome.arguments), _split_result(outcome.result)
    patch = _extract_patch(command)
    if patch is not None:
        return patch_events.file_updates(patch, _directory(outcome)) if _PATCHED in outcome.result else []
    code = _EXIT_CODE.search(result.header)
    if code is None or int(code[1]) or _TRUNCATED.search(outcome.result):
        return []
    path, content = _printed_file(command, result.output)
    return [Snapshot(posixpath.join(_directory(outcome), path), content)] if content is not None else []


def _printed_file(command: str, output: str) -> tuple[str, FileText | None]:
    if cat := _CAT.fullmatch(command.strip()):
        return cat[1], FileText(output)
    sed = _SED.fullmatch(command.strip())
    if sed is None or not output:
        return "", None
    first, last = int(sed[2]), int(sed[3])
    has_end = first == 1 and output.count("\n") < last
    return sed[4], FileText(output, first, has_end)


def _directory(outcome: Outcome) -> str:
    """Return the call's working directory, or an empty string for the session's."""
    return argument(outcome, "workdir")


def _patch_text(outcome: Outcome) -> str:
    """Return the patch. Older models send it in a field."""
    return text(outcome.arguments) or argument(outcome, "input")


def _patch(outcome: Outcome) -> Iterable[Data]:
    patch, is_patched = _patch_text(outcome), _PATCHED in outcome.result
    if is_patched and parse(patch):
        return patch_events.file_events(patch, outcome.workspace)
    return [tool_use(outcome._replace(is_error=not is_patched))]


def _patch_updates(outcome: Outcome) -> list[FileUpdate]:
    patch = _patch_text(outcome)
    if _PATCHED in outcome.result:
        return patch_events.file_updates(patch)
    # A failed patch may have changed some of the files.
    has_run = not _NOT_RUN.match(outcome.result)
    return [Invalidation(change.path) for change in parse(patch)] if has_run else []


def _script(outcome: Outcome) -> Iterator[Data]:
    """Return a code mode script and the calls that are certain to have run."""
    return chain([_generic(outcome)], islice(_script_calls(outcome, outcome), MAX_SCRIPT_EVENTS))


def _script_end(outcome: Outcome) -> Iterator[Data]:
    """Return the wait for a script, and the script's calls if it completed."""
    cell = argument(outcome, "cell_id")
    scripts = (earlier for earlier in outcome.workspace.earlier() if cell and _running_cell(earlier) == cell)
    script = next(scripts, None)
    calls = islice(_script_calls(script, outcome), MAX_SCRIPT_EVENTS) if script else ()
    return chain([_generic(outcome)], calls)


def _running_cell(outcome: Outcome) -> str | None:
    running = _RUNNING_SCRIPT.match(outcome.result) if outcome.name == "exec" else None
    return running[1] if running else None


def _script_calls(script: Outcome, end: Outcome) -> Iterator[Data]:
    """Yield a script's patches, and its command if the result includes the exit code.

    end -- the call that returned the result
    """
    source = text(script.arguments) or ""
    if not end.result.startswith(_SCRIPT_COMPLETED):
        return
    for number, call in enumerate(code_mode.calls(source)):
        if not end.workspace.has_time():
            return
        ids = {"toolUseId": f"{script.tool_use_id}:{number}", "parentToolUseId": script.tool_use_id}
        if call.name == "apply_patch" and isinstance(call.argument, str):
            yield from (data | ids for data in patch_events.file_events(call.argument, end.workspace))
        elif call.name == "exec_command" and (result := _printed_result(source, end.result)):
            yield {"kind": "command", **_printed_command(call.argument, result), **ids}


def _printed_result(source: str, output: str) -> Data | None:
    """Return the result of a script's only command; None if it was not printed or the command is still running."""
    lines = [line for line in _split_result(output).output.split("\n") if line.startswith('{"')]
    results = [
        result
        for result in map(event_data.parse_arguments, lines)
        if integer(field(result, "exit_code")) is not None and text(field(result, "output")) is not None
    ]
    return results[0] if len(results) == 1 and source.count("exec_command") == 1 else None


def _printed_command(arguments: Any, result: Data) -> Data:
    data = {"command": command_text(arguments), "exitCode": result["exit_code"], "stdout": result["output"]}
    seconds = result.get("wall_time_seconds")
    if isinstance(seconds, float) and 0 <= seconds < MAX_SECONDS:
        data["durationMs"] = round(seconds * 1000)
    return data


def _script_updates(outcome: Outcome) -> list[FileUpdate]:
    """Return the file updates of a script's patches. A failed script may have applied some of them."""
    source = text(outcome.arguments) or ""
    calls = code_mode.calls(source) if "apply_patch" in source else []
    patches = [
        call.argument for call in calls if call.name == "apply_patch" and isinstance(call.argument, str)
    ]
    updates = [update for patch in patches for update in patch_events.file_updates(patch)]
    is_completed = outcome.result.startswith(_SCRIPT_COMPLETED)
    return updates if is_completed else [Invalidation(update.path) for update in updates]


def _plan(outcome: Outcome) -> list[Data]:
    steps = field(outcome.arguments, "plan")
    if not isinstance(steps, list) or _NOT_RUN.match(outcome.result):
        return [_generic(outcome)]
    return [{"toolName": outcome.name, "todos": steps, "itemCount": len(steps)}]


def _dispatch(outcome: Outcome) -> list[Data]:
    task = argument(outcome, "message")
    data = {"taskPreview": event_data.preview(task), "toolName": outcome.name}
    agent_id = text(field(event_data.parse_arguments(outcome.result), "agent_id"))
    return [data | ({"agentId": agent_id} if agent_id else {})]


def _mcp(outcome: Outcome) -> list[Data]:
    return [{"tool": outcome.name, "argsPreview": event_data.preview(outcome.arguments)}]


def _other(outcome: Outcome) -> list[Data]:
    return [_generic(outcome)]


def _generic(outcome: Outcome) -> Data:
    has_failed = _NOT_RUN.match(outcome.result) or outcome.result.startswith("Script failed\n")
    return tool_use(outcome._replace(is_error=True) if has_failed else outcome)


_COMMAND = Tool("command", _command, _command_updates, reads_errors=True)
_ROWS = {
    "exec_command": _COMMAND,
    "shell": _COMMAND,
    "shell_command": _COMMAND,
    "local_shell": _COMMAND,
    "container.exec": _COMMAND,
    "write_stdin": Tool("command", _input, reads_errors=True),
    "apply_patch": Tool("file_diff", _patch, _patch_updates, reads_errors=True),
    "exec": Tool("tool_use", _script, _script_updates),
    "wait": Tool("tool_use", _script_end),
    "update_plan": Tool("planning", _plan),
    "view_image": Tool("file_read", tools.path),
    "spawn_agent": Tool("task_dispatch", _dispatch),
    "web_search": Tool("web_lookup", tools.with_arguments("query", "url", "pattern")),
}

TOOLS = ToolTable(_ROWS, mcp=Tool("mcp_call", _mcp), other=Tool("tool_use", _other))
