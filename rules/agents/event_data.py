"""Build event fields shared by all dialects and tools (docs/candidate-client.md#5-events)."""

import json
from typing import Any

from rules.agents.files.diffs import Change, unified_diff
from rules.agents.files.known_files import FileText
from rules.agents.values import without_none
from rules.events.masking import MAX_SECRET_CHARACTERS, mask_text
from rules.events.recorded_events import ResponseUsage
from rules.lenient_json import parse_json

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
    """Return the start of a value as JSON. Strings are not quoted."""
    return mask_and_truncate(raw_text(value), MAX_PREVIEW_CHARACTERS)


def raw_text(value: Any) -> str:
    """Return a value as JSON, or an empty string if that is impossible. Strings are not quoted."""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return ""


def mask_and_truncate(text: str, limit: int) -> str:
    """Mask secrets, then truncate. A truncated secret would not be recognized."""
    return mask_text(text[: limit + MAX_SECRET_CHARACTERS])[:limit]


def parse_arguments(text: str) -> Any:
    """Parse a call's arguments. Returns invalid JSON, such as from an interrupted response, unchanged."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return text


def usage_fields(usage: ResponseUsage) -> dict[str, Any]:
    tokens = {field: usage.counts[name] for name, field in _USAGE.items() if name in usage.counts}
    cost = usage.cost_nano_usd
    return {"usageScope": "request", **tokens} | without_none(
        model=usage.model,
        requestId=usage.request_id,
        totalCost=None if cost is None else cost / 10**9,
        firstTokenMs=usage.first_token_ms,
        turnDurationMs=usage.duration_ms,
    )


def file_creation(path: str, content: str) -> dict[str, Any]:
    change = unified_diff(path, None, content)
    return {
        "kind": "file_create",
        "path": path,
        "content": content,
        "diff": change.diff,
        "linesAdded": change.lines_added,
    }


def file_change(path: str, before: FileText, after: str) -> dict[str, Any]:
    """Build a change with a known base. It is partial if the diff lacks context."""
    data = _diff_fields(path, unified_diff(path, before.text, after, before.first_line))
    has_start = before.first_line == 1 or _first_line(before.text) == _first_line(after)
    has_end = before.has_end or _last_line(before.text) == _last_line(after)
    return data if has_start and has_end else data | {"isPartial": True}


def _first_line(text: str) -> str:
    return text[: text.find("\n") + 1 or None]


def _last_line(text: str) -> str:
    return text[text.rfind("\n", 0, -1) + 1 :]


def partial_change(path: str, old: str, new: str) -> dict[str, Any]:
    """Build a change to a file with unknown content. The diff's line numbers start at 1."""
    old, new = (text if not text or text.endswith("\n") else f"{text}\n" for text in (old, new))
    return _diff_fields(path, unified_diff(path, old, new)) | {"isPartial": True}


def _diff_fields(path: str, change: Change) -> dict[str, Any]:
    return {
        "kind": "file_diff",
        "path": path,
        "diff": change.diff,
        "linesAdded": change.lines_added,
        "linesRemoved": change.lines_removed,
    }
