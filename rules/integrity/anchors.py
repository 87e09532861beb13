"""Archived anchors, read from log lines or webhook bodies (docs/integrity.md#anchors)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

SESSION, AUDIT = "session.sealed", "audit.sealed"
TYPES = (SESSION, AUDIT)


class Anchor(NamedTuple):
    """An anchor with its checked payload."""

    type: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        if self.type == SESSION:
            return f"session {self.data['sessionId']}, final seal {self.data['number']}"
        return f"organization {self.data['organizationId']}, audit row {self.data['count']}"


def read(lines: Iterable[str]) -> Iterator[Anchor]:
    """Yield the anchors in log lines (text or JSON) or webhook bodies, one per line; skip other lines."""
    for line in lines:
        value = _parse(line)
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            # A JSON log line.
            value = _parse(value["message"])
        if isinstance(value, dict) and value.get("type") in TYPES and _is_complete(value):
            yield Anchor(value["type"], value["data"])


def _parse(line: str) -> Any:
    _, brace, rest = line.partition("{")
    try:
        return json.JSONDecoder().raw_decode(brace + rest)[0] if brace else None
    except (ValueError, RecursionError):
        return None


def _is_complete(value: dict[str, Any]) -> bool:
    data = value.get("data")
    if not isinstance(data, dict):
        return False
    if value["type"] == AUDIT:
        return _is_id(data.get("organizationId")) and type(data.get("count")) is int
    numbers = (data.get("number"), data.get("count"))
    return _is_id(data.get("sessionId")) and all(
        type(number) is int and 0 <= number < 2**31 for number in numbers
    )


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and UUID(value) is not None
    except ValueError:
        return False
