"""One-line event summaries (contract 5.2 to 5.8), stored on arrival."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from rules.events.envelopes import CHANGE_KINDS, field, integer, known_exit_code, source_name, text
from rules.plain_text import event_line

MAX_SUBJECT_CHARACTERS = 300
MAX_NOTE_CHARACTERS = 100
_PLAN_STATES = (("completed", "done"), ("in_progress", "in progress"), ("pending", "open"))
_CHANGE_TYPES = {"add": "new file", "delete": "deleted"}

Fields = dict[str, Any]
Reader = Callable[[Fields, Any], tuple[Any, Any]]  # (data, envelope) -> (subject, note)


class Summary(NamedTuple):
    """The event's path, command, question or tool, and its result."""

    subject: str | None
    note: str | None


def summarize(envelope: Any) -> Summary:
    """Summarize an envelope as sent. Never raises."""
    data = field(envelope, "data")
    fields = data if isinstance(data, dict) else {}
    read = _READERS.get(text(field(envelope, "kind")) or "")
    subject, note = read(fields, envelope) if read else (None, None)
    if not subject and not note:
        # For unknown kinds and scrubbed data.
        subject = next((value for value in fields.values() if isinstance(value, str) and value), None)
    return Summary(event_line(subject, MAX_SUBJECT_CHARACTERS), event_line(note, MAX_NOTE_CHARACTERS))


def format_summary(subject: str | None, note: str | None) -> str:
    return _join(" · ", subject, note)


def plan_step_text(todo: Any) -> str | None:
    """Return a plan step's text: `content` in Claude Code, `step` in Codex."""
    return text(field(todo, "content")) or text(field(todo, "step"))


def _join(separator: str, *parts: str | None) -> str:
    return separator.join(part for part in parts if part)


def _fields(subject: str, note: str | None = None) -> Reader:
    return lambda data, envelope: (data.get(subject), data.get(note) if note else None)


def _with_count(subject: str, count: str, noun: str) -> Reader:
    def read(data: Fields, envelope: Any) -> tuple[Any, Any]:
        number = integer(data.get(count))
        return data.get(subject), None if number is None else f"{noun}: {number}"

    return read


def _tool(name: str, preview: str) -> Reader:
    def read(data: Fields, envelope: Any) -> tuple[Any, Any]:
        failed = "failed" if data.get("ok") is False else None
        return data.get(name), _join(": ", failed, text(data.get(preview)), text(data.get("error")))

    return read


def _prompt(data: Fields, envelope: Any) -> tuple[Any, Any]:
    return data.get("text"), "after an interrupt" if data.get("followsInterrupt") is True else None


def _response(data: Fields, envelope: Any) -> tuple[Any, Any]:
    tokens = integer(data.get("outputTokens"))
    # Codex reports the session's running totals, not the response's tokens.
    is_known = tokens is not None and source_name(field(envelope, "source")) != "codex"
    note = _join(", ", text(data.get("model")), f"output tokens: {tokens}" if is_known else None)
    return data.get("lastAssistantMessage"), note


def _change(data: Fields, envelope: Any) -> tuple[Any, Any]:
    added, removed = integer(data.get("linesAdded")), integer(data.get("linesRemoved"))
    moved_to = text(data.get("movePath"))
    note = _join(
        ", ",
        None if added is None or removed is None else f"+{added} -{removed}",
        _CHANGE_TYPES.get(text(data.get("changeType")) or ""),
        moved_to and f"moved to {moved_to}",
        "whole file" if isinstance(data.get("content"), str) else None,
    )
    return data.get("path"), note


def _command(data: Fields, envelope: Any) -> tuple[Any, Any]:
    code = known_exit_code(envelope)
    return data.get("command"), None if code is None else f"exit {code}"


def _planning(data: Fields, envelope: Any) -> tuple[Any, Any]:
    todos = data.get("todos")
    if not isinstance(todos, list):
        return data.get("subject") or data.get("taskId") or data.get("toolName"), data.get("status")
    states = Counter(text(field(todo, "status")) for todo in todos)
    note = ", ".join(f"{states[state]} {label}" for state, label in _PLAN_STATES if states[state])
    current = next((todo for todo in todos if field(todo, "status") == "in_progress"), None)
    return plan_step_text(current) or f"steps: {len(todos)}", note


def _test_run(data: Fields, envelope: Any) -> tuple[Any, Any]:
    counts = {name: integer(data.get(name)) for name in ("passed", "failed", "skipped")}
    note = ", ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
    return data.get("command") or data.get("framework"), note


def _editor(data: Fields, envelope: Any) -> tuple[Any, Any]:
    paths = (data.get(name) for name in ("filePath", "toFile", "lastActiveFile"))
    count = integer(data.get("charCount"))
    kind = (text(data.get("subKind")) or "").replace("_", " ")
    note = kind if count is None else f"{kind}, characters: {count}"
    return next((path for path in paths if isinstance(path, str)), None), note


_READERS: dict[str, Reader] = {
    "prompt": _prompt,
    "ai_response": _response,
    "subagent_usage": _response,
    **dict.fromkeys(CHANGE_KINDS, _change),
    "command": _command,
    "file_read": _with_count("path", "numLines", "lines"),
    "file_search": _with_count("pattern", "resultsCount", "results"),
    "dir_list": _fields("path"),
    "planning": _planning,
    "planning_read": _fields("toolName"),
    "plan_decision": _fields("planPreview", "responsePreview"),
    "decision_event": _fields("title", "chosenOption"),
    "web_lookup": lambda data, envelope: (data.get("query") or data.get("url"), None),
    "task_dispatch": _fields("taskPreview"),
    "context": lambda data, envelope: (data.get("text"), f"{data.get('role')} {data.get('type')}"),
    "test_run": _test_run,
    **dict.fromkeys(("tool_intent", "tool_use"), _tool("toolName", "inputPreview")),
    **dict.fromkeys(("mcp_call", "tool_call"), _tool("tool", "argsPreview")),
    "interrupt": _fields("variant", "cutTool"),
    "session_start": _fields("model", "source"),
    "session_end": _fields("reason"),
    "subagent_stop": _fields("subagentType", "status"),
    "context_compact": _with_count("trigger", "preTokens", "tokens before"),
    **dict.fromkeys(("editor_focus", "editor_edit", "editor_idle"), _editor),
}
