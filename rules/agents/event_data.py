"""Fields of events that all dialects and tools share (docs/candidate-client.md#5-events)."""

import json
from typing import Any

from rules.agents.files.diffs import Change, unified_diff
from rules.agents.files.known_files import FileText
from rules.agents.values import without_none
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
    """Return the start of a value as JSON; a string stays unquoted."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return ""
    return shortened(text, MAX_PREVIEW_CHARACTERS)


def shortened(text: str, limit: int) -> str:
    """Mask a text, then truncate it: a truncated secret would not be recognized."""
    return mask_text(text[: limit + MAX_SECRET_CHARACTERS])[:limit]


def parsed_arguments(text: str) -> Any:
    """Parse a call's arguments. Text that is not JSON, as in an interrupted response, stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def usage(measured: ResponseUsage) -> dict[str, Any]:
    tokens = {field: measured.counts[name] for name, field in _USAGE.items() if name in measured.counts}
    cost = measured.cost_nano_usd
    return {"usageScope": "request", **tokens} | without_none(
        model=measured.model,
        requestId=measured.request_id,
        totalCost=None if cost is None else cost / 10**9,
        firstTokenMs=measured.first_token_ms,
        turnDurationMs=measured.duration_ms,
    )


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
    """Return a change with a known base. It is partial if the diff lacks context."""
    data = _changed(path, unified_diff(path, before.text, after, before.first_line))
    has_start = before.first_line == 1 or _first_line(before.text) == _first_line(after)
    has_end = before.has_end or _last_line(before.text) == _last_line(after)
    return data if has_start and has_end else data | {"isPartial": True}


def _first_line(text: str) -> str:
    return text[: text.find("\n") + 1 or None]


def _last_line(text: str) -> str:
    return text[text.rfind("\n", 0, -1) + 1 :]


def partial_change(path: str, old: str, new: str) -> dict[str, Any]:
    """Return a change in a file with unknown content. The diff's line numbers start with 1."""
    old, new = (text if not text or text.endswith("\n") else f"{text}\n" for text in (old, new))
    return _changed(path, unified_diff(path, old, new)) | {"isPartial": True}


def _changed(path: str, change: Change) -> dict[str, Any]:
    return {
        "kind": "file_diff",
        "path": path,
        "diff": change.diff,
        "linesAdded": change.lines_added,
        "linesRemoved": change.lines_removed,
    }
