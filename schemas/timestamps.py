"""Field classes for timestamps."""

from datetime import datetime
from typing import Any

import marshmallow as ma

from rules.timestamps import format_timestamp, parse_timestamp_ns, timestamp_from_ns
from schemas.fields import DocumentedField


class Timestamp(DocumentedField):
    """A timestamp in a response, in UTC with milliseconds (R25)."""

    openapi = {"type": "string", "format": "date-time", "example": "2026-04-01T09:00:00.000Z"}

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, dump_only=True, **options)

    def _serialize(self, value: datetime | None, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_timestamp(value)


class EventTime(Timestamp):
    """An event's time, stored in nanoseconds since 1970."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_timestamp(timestamp_from_ns(value))


class TimestampInput(DocumentedField):
    """An RFC 3339 timestamp in a request, with any offset. Converted to UTC with milliseconds.

    round_up -- true to round up; for consecutive filter ranges without overlaps or gaps
    """

    openapi = {"type": "string", "format": "date-time"}
    default_error_messages = {"invalid": "Must be a string."}

    def __init__(self, *args: Any, round_up: bool = False, **options: Any):
        super().__init__(*args, **options)
        self.added_ns = 999_999 if round_up else 0

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return timestamp_from_ns(parse_timestamp_ns(value) + self.added_ns)
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None
