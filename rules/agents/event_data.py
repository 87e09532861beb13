"""Fields of events that all dialects and tools share (docs/candidate-client.md#5-events)."""

import json
from typing import Any

from rules.agents.dialect import Outcome
from rules.agents.diffs import Change, unified_diff
from rules.agents.known_files import FileText
from rules.events.masking import MAX_SECRET_CHARACTERS, mask_text
from rules.events.recorded_events import ResponseUsage

MAX_PREVIEW_CHARACTERS = 500
_USAGE = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cacheRead": "cacheReadTokens",
    "cacheWrite": "cacheWriteTokens",
    "cacheWrite5m": "cacheWrite5mTokens",
    "cacheWrite1h": "cacheWrite1hTokens",
}


def preview(value: Any) -> str:
    """The start of a value as JSON; a string unchanged."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return ""
    return shortened(text, MAX_PREVIEW_CHARACTERS)


def shortened(text: str, limit: int) -> str:
    """The start of a text, masked before it is cut: a part of a secret has no known format."""
    return mask_text(text[: limit + MAX_SECRET_CHARACTERS])[:limit]


def parsed_arguments(text: str) -> Any:
    """A call's arguments; the text itself if it is not JSON, as in an interrupted response."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def usage(measured: ResponseUsage) -> dict[str, Any]:
    """The usage of one response."""
    tokens = {field: measured.counts[name] for name, field in _USAGE.items() if name in measured.counts}
    fields = {
        "model": measured.model,
        "requestId": measured.request_id,
        "totalCost": None if measured.cost_nano_usd is None else measured.cost_nano_usd / 10**9,
        "firstTokenMs": measured.first_token_ms,
        "turnDurationMs": measured.duration_ms,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return {"usageScope": "request", **tokens, **known}


def tool_use(outcome: Outcome) -> dict[str, Any]:
    """A call of a tool without its own event kind, or a failed call."""
    data = {"kind": "tool_use", "toolName": outcome.name, "inputPreview": preview(outcome.arguments)}
    if outcome.is_error:
        return data | {"ok": False, "error": shortened(outcome.result, MAX_PREVIEW_CHARACTERS)}
    return data | {"ok": True}


def file_created(path: str, content: str) -> dict[str, Any]:
    change = unified_diff(path, None, content)
    return {
        "kind": "file_create",
        "path": path,
        "content": content,
        "diff": change.diff,
        "linesAdded": change.lines_added,
    }


def file_changed(path: str, before: FileText, after: str) -> dict[str, Any]:
    """A change with a known base. At the edge of a known part, the diff lacks the context to be applied."""
    change = unified_diff(path, before.text, after, before.first_line)
    data = _changed(path, change)
    return data if _has_context(before, after) else data | {"isPartial": True}


def _has_context(before: FileText, after: str) -> bool:
    has_start = before.first_line == 1 or _first_line(before.text) == _first_line(after)
    return has_start and (before.has_end or _last_line(before.text) == _last_line(after))


def _first_line(text: str) -> str:
    return text[: text.find("\n") + 1 or None]


def _last_line(text: str) -> str:
    return text[text.rfind("\n", 0, -1) + 1 :]


def partial_change(path: str, old: str, new: str) -> dict[str, Any]:
    """A change in a file whose content is unknown: the line numbers of its diff start with 1."""
    return _changed(path, unified_diff(path, _lines(old), _lines(new))) | {"isPartial": True}


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _changed(path: str, change: Change) -> dict[str, Any]:
    return {
        "kind": "file_diff",
        "path": path,
        "diff": change.diff,
        "linesAdded": change.lines_added,
        "linesRemoved": change.lines_removed,
    }
