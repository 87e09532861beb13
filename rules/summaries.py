"""What an event is about, on one line, so that a timeline can be read without its contents (contract 5.2 to 5.8).

Made when an event arrives and stored beside it. Any member may be missing or of any type.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from rules.envelopes import integer, member, source_name, text
from rules.records import known_exit_code
from rules.texts import one_line

LONGEST_SUBJECT = 300
LONGEST_NOTE = 100
_PLAN_STATES = (("completed", "done"), ("in_progress", "in progress"), ("pending", "open"))


class Summary(NamedTuple):
    """`subject`: the path, command, question or tool; `note`: how it went. Either may be None."""

    subject: str | None
    note: str | None


def summary_of(envelope: Any) -> Summary:
    """The summary of an envelope as it was sent: nothing in it may make this raise."""
    data = member(envelope, "data")
    reader = _READERS.get(text(member(envelope, "kind")) or "", _nothing)
    members = data if isinstance(data, dict) else {}
    subject, note = reader(members, envelope)
    if not subject and not note:
        subject = _first_text(members)
    return Summary(one_line(subject, LONGEST_SUBJECT), one_line(note, LONGEST_NOTE))


def line(subject: str | None, note: str | None) -> str:
    """A stored summary as people read it."""
    return " · ".join(part for part in (subject, note) if part)


Reader = Callable[[dict[str, Any], Any], tuple[Any, Any]]


def _members(subject: str, note: str | None = None) -> Reader:
    """A reader of two members that are texts already."""
    return lambda data, envelope: (data.get(subject), data.get(note) if note else None)


def _prompt(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    return data.get("text"), "after an interrupt" if data.get("followsInterrupt") is True else None


def _response(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    tokens = integer(data.get("outputTokens"))
    # Codex counts all of its session so far; a number that only grows says nothing about one answer.
    counted = tokens is not None and source_name(member(envelope, "source")) != "codex"
    parts = [text(data.get("model")), f"output tokens: {tokens}" if counted else None]
    return data.get("lastAssistantMessage"), ", ".join(part for part in parts if part)


def _change(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    added, removed = integer(data.get("linesAdded")), integer(data.get("linesRemoved"))
    counts = None if added is None or removed is None else f"+{added} -{removed}"
    moved = text(data.get("movePath"))
    parts = [counts, _CHANGE_WORDS.get(text(data.get("changeType")) or ""), moved and f"moved to {moved}"]
    if isinstance(data.get("content"), str):
        parts.append("whole file")
    return data.get("path"), ", ".join(part for part in parts if part)


_CHANGE_WORDS = {"add": "new file", "delete": "deleted"}


def _command(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    code = known_exit_code(envelope, source_name(member(envelope, "source")))
    return data.get("command"), None if code is None else f"exit {code}"


def _counted(subject: str, count: str, noun: str) -> Reader:
    def read(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
        number = integer(data.get(count))
        return data.get(subject), None if number is None else f"{noun}: {number}"

    return read


def _planning(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    todos = data.get("todos")
    if not isinstance(todos, list):
        return data.get("subject") or data.get("taskId") or data.get("toolName"), data.get("status")
    states = Counter(text(member(todo, "status")) for todo in todos)
    note = ", ".join(f"{states[state]} {word}" for state, word in _PLAN_STATES if states[state])
    current = next((todo for todo in todos if member(todo, "status") == "in_progress"), None)
    return plan_step(current) or f"steps: {len(todos)}", note


def plan_step(todo: Any) -> str | None:
    """The words of one step of a plan: Claude Code calls them `content`, Codex `step`."""
    return text(member(todo, "content")) or text(member(todo, "step"))


def _test_run(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    counts = {name: integer(data.get(name)) for name in ("passed", "failed", "skipped")}
    note = ", ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
    return data.get("command") or data.get("framework"), note


def _tool(name: str, preview: str) -> Reader:
    def read(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
        parts = [
            "failed" if data.get("ok") is False else None,
            text(data.get(preview)),
            text(data.get("error")),
        ]
        return data.get(name), ": ".join(part for part in parts if part)

    return read


def _editor(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    places = (data.get(name) for name in ("filePath", "toFile", "lastActiveFile"))
    return next((place for place in places if isinstance(place, str)), None), _editor_note(data)


def _editor_note(data: dict[str, Any]) -> str:
    count = integer(data.get("charCount"))
    kind = (text(data.get("subKind")) or "").replace("_", " ")
    return kind if count is None else f"{kind}, characters: {count}"


def _compaction(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    tokens = integer(data.get("preTokens"))
    return data.get("trigger"), None if tokens is None else f"tokens before: {tokens}"


def _web_lookup(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    return data.get("query") or data.get("url"), None


def _nothing(data: dict[str, Any], envelope: Any) -> tuple[Any, Any]:
    return None, None


def _first_text(data: dict[str, Any]) -> str | None:
    """For a kind that is not known, and for data that was masked as a whole."""
    return next((value for value in data.values() if isinstance(value, str) and value), None)


_READERS: dict[str, Reader] = {
    "prompt": _prompt,
    "ai_response": _response,
    "subagent_usage": _response,
    **dict.fromkeys(("file_diff", "file_create", "file_delete"), _change),
    "command": _command,
    "file_read": _counted("path", "numLines", "lines"),
    "file_search": _counted("pattern", "resultsCount", "results"),
    "dir_list": _members("path"),
    "planning": _planning,
    "planning_read": _members("toolName"),
    "plan_decision": _members("planPreview", "responsePreview"),
    "decision_event": _members("title", "chosenOption"),
    "web_lookup": _web_lookup,
    "task_dispatch": _members("taskPreview"),
    "test_run": _test_run,
    **dict.fromkeys(("tool_intent", "tool_use"), _tool("toolName", "inputPreview")),
    **dict.fromkeys(("mcp_call", "tool_call"), _tool("tool", "argsPreview")),
    "interrupt": _members("variant", "cutTool"),
    "session_start": _members("model", "source"),
    "session_end": _members("reason"),
    "subagent_stop": _members("subagentType", "status"),
    "context_compact": _compaction,
    **dict.fromkeys(("editor_focus", "editor_edit", "editor_idle"), _editor),
}
