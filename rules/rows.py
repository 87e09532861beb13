"""Convert values of SQL rows. SQLite returns ids, timestamps and JSON as strings."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from rules.timestamps import format_timestamp

# Replaces a malformed id. No row has this id.
MALFORMED_ID = UUID(int=0)


def row_id(value: Any) -> UUID | None:
    try:
        return value if value is None or isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        return MALFORMED_ID


def row_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def row_time(value: Any) -> str | None:
    """Return the timestamp in the API's format, in which SQLite stores it."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return None if value is None else str(value)
