"""Base schemas and fields of query parameters."""

import re
from typing import Any

from rules.cursors import Cursor
from schemas.base import Schema
from schemas.fields import Choice, DocumentedField, Integer
from schemas.timestamps import TimestampInput

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
MAX_OFFSET = 2**63 - 1
# The lookahead keeps matching linear, because leading zeros can match in only one way.
_INTEGER = re.compile(r"([+-]?)(?=[0-9])0*+([0-9]*)")
# Exceeds every allowed range. Python rejects integers with thousands of digits.
_MAX_DIGITS = 20


class QueryInteger(Integer):
    """An integer in a query: digits with an optional sign (R24)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        match = _INTEGER.fullmatch(value)
        if match is None:
            raise self.make_error("invalid")
        sign, digits = match.groups()
        return int(sign + (digits[:_MAX_DIGITS] or "0"))


class Limit(QueryInteger):
    """A page size, clamped to the range 1 to 200 (R24)."""

    def __init__(self, default: int | None = DEFAULT_LIMIT):
        description = f"Maximum number of results, clamped to the range 1 to {MAX_LIMIT}."
        if default is None:
            super().__init__(f"{description} If omitted, all results.")
        else:
            super().__init__(description, load_default=default)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        return max(1, min(MAX_LIMIT, super()._deserialize(value, attr, data, **kwargs)))


class Filter(Schema):
    """Base of query parameters."""

    always_complete = False

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        super().on_bind_field(field_name, field_obj)
        # The docs page prefills examples, and a prefilled filter would hide results.
        field_obj.metadata = {key: value for key, value in field_obj.metadata.items() if key != "example"}


class After(DocumentedField):
    """A page's cursor."""

    openapi = {"type": "string"}
    default_error_messages = {"invalid": "Must be the `next` of an earlier page."}
    cursor: Any = Cursor

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        try:
            return self.cursor.parse(value)
        except ValueError:
            raise self.make_error("invalid") from None


class CursorPageQuery(Filter):
    """Optional pagination by cursor."""

    limit = Limit(None)
    after = After("The previous page's `next`. Unlike `offset`, takes the same time on each page.")
    order = Choice(["asc", "desc"], "Sort order by creation time. `asc`: oldest first; `desc`: newest first.")


class PageQuery(CursorPageQuery):
    """Pagination by cursor or offset."""

    limit = Limit()
    offset = QueryInteger("Number of results to skip.", min=0, max=MAX_OFFSET, load_default=0)


CREATED_AFTER = TimestampInput("Only results created after this time.")
UPDATED_AFTER = TimestampInput("Only results with an `updatedAt` after this time.")
