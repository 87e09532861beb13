"""Cursors: the positions of a row in a list, and of an event in a timeline."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from rules.rows import row_id
from rules.timestamps import parse_stored_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT = re.compile(r"([0-9]{1,16})\.([0-9a-f]{32})", re.ASCII)
_EVENT_FORMAT = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,19})", re.ASCII)
_INT64 = range(-(2**63), 2**63)


class Cursor(NamedTuple):
    """A row's position in a list, serialized as `<microseconds since 1970>.<id>`."""

    created_at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{(self.created_at - _EPOCH) // timedelta(microseconds=1)}.{self.id.hex}"

    @classmethod
    def from_row(cls, row: Any) -> "Cursor":
        """Create a cursor from a model instance, named tuple or dictionary."""
        created_at, id = (row[name] if isinstance(row, dict) else getattr(row, name) for name in cls._fields)
        return cls(parse_stored_time(created_at), row_id(id) or UUID(int=0))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse a cursor. Raises ValueError."""
        match = _FORMAT.fullmatch(text)
        if match is None:
            raise ValueError("Must be the `next` of an earlier page.")
        return cls(_EPOCH + timedelta(microseconds=int(match[1])), UUID(match[2]))


class EventCursor(NamedTuple):
    """An event's position: its time and arrival number."""

    time_ns: int
    seq: int

    def __str__(self) -> str:
        return f"{self.time_ns}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "EventCursor":
        """Parse a cursor. Raises ValueError."""
        match = _EVENT_FORMAT.fullmatch(text)
        numbers = [int(number) for number in match.groups()] if match else []
        if not numbers or not all(number in _INT64 for number in numbers):
            raise ValueError("Must be the `next` of an earlier page.")
        return cls(*numbers)
