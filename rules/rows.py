"""Values of SQL rows; SQLite returns ids, timestamps and JSON as text."""

import json
from typing import Any
from uuid import UUID

from rules.timestamps import format_timestamp


def row_id(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else value


def row_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def row_time(value: Any) -> str | None:
    """The timestamp as the API shows it, which is how SQLite stores it."""
    return value if value is None or isinstance(value, str) else format_timestamp(value)
