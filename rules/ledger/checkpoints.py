"""Read archived checkpoints from log lines or webhook bodies (docs/integrity.md#checkpoints)."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from rules.timestamps import parse_timestamp_ns, timestamp_from_ns

TYPE = "ledger.checkpoint"


class ArchivedCheckpoint(NamedTuple):
    """The position of an organization's last entry at a time, and its link in hexadecimal."""

    organization_id: UUID
    position: int
    head: str
    time: datetime

    def __str__(self) -> str:
        return f"organization {self.organization_id}, checkpoint {self.position}"


def read(lines: Iterable[str]) -> Iterator[ArchivedCheckpoint]:
    """Yield the checkpoints in log lines (text or JSON) or in webhook bodies, one per line; skip other lines."""
    for line in lines:
        value = _parse(line)
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            # A line of a JSON log.
            value = _parse(value["message"])
        is_checkpoint = isinstance(value, dict) and value.get("type") == TYPE
        if is_checkpoint and (checkpoint := _checkpoint(value.get("data"))):
            yield checkpoint


def _parse(line: str) -> Any:
    _, brace, rest = line.partition("{")
    try:
        return json.JSONDecoder().raw_decode(brace + rest)[0] if brace else None
    except (ValueError, RecursionError):
        return None


def _checkpoint(data: Any) -> ArchivedCheckpoint | None:
    try:
        position, head = data["position"], data["head"]
        if type(position) is not int or not isinstance(head, str):
            return None
        organization_id = UUID(data["organizationId"])
        time = timestamp_from_ns(parse_timestamp_ns(data["createdAt"]))
        return ArchivedCheckpoint(organization_id, position, head, time)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
