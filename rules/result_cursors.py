"""Result cursors: a row's position in a list that can be sorted by several columns (docs/results.md)."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from rules.events.envelopes import INT64, integer
from rules.plain_text import replace_unstorable
from rules.rows import MALFORMED_ID, row_id
from rules.timestamps import format_timestamp, parse_timestamp_ns, timestamp_from_ns

MAX_CHARACTERS = 4096
INVALID = "Must be the `next` of an earlier page with the same `sort` and `order`."


class ResultCursor(NamedTuple):
    """The position after a row.

    sort, order -- the list's sort column and direction
    group -- 0 for rows with a value; rows without a value follow in later groups
    id -- breaks ties between rows of a group with the same value
    """

    sort: str
    order: str
    group: int
    value: Any
    id: Any

    def __str__(self) -> str:
        text = json.dumps([*self[:4], str(self.id)], ensure_ascii=False, default=format_timestamp)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "ResultCursor":
        """Parse a cursor without checking its value. Raises ValueError."""
        try:
            if len(text) > MAX_CHARACTERS:
                raise ValueError(INVALID)
            parsed = json.loads(base64.b64decode(f"{text}===", b"-_", validate=False))
            cursor = cls(*parsed)
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise ValueError(INVALID) from None
        cursor = cursor._replace(id=row_id(cursor.id))
        if cursor.id in (None, MALFORMED_ID) or not _is_integer(cursor.group):
            raise ValueError(INVALID)
        return cursor


def _is_integer(value: Any) -> bool:
    return integer(value, INT64) is not None


def _is_time(value: Any) -> bool:
    try:
        return format_timestamp(timestamp_from_ns(parse_timestamp_ns(value))) == value
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False


# By column kind: checks whether a value can be compared with the column.
VALUE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "none": lambda value: value is None,
    "integer": _is_integer,
    "text": lambda value: isinstance(value, str) and replace_unstorable(value) == value,
    "time": _is_time,
}
