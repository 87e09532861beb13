"""Find values that the service never writes, such as text in an integer column.

SQLite stores them, PostgreSQL rejects them. Comparisons do not match them: an event copied with a BLOB as its session
id belongs to no session.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import peewee

from models.base import BytesField, TimestampField, db, is_postgres

# True for a malformed value. A subclass comes before its parent.
_CONDITIONS: tuple[tuple[Any, str], ...] = (
    (TimestampField, "typeof({0}) NOT IN ('text', 'null') OR strftime('%Y-%m-%dT%H:%M:%fZ', {0}) IS NOT {0}"),
    (BytesField, "typeof({0}) NOT IN ('blob', 'null')"),
    (peewee.UUIDField, "typeof({0}) NOT IN ('text', 'null') OR length({0}) <> 32 OR {0} GLOB '*[^0-9a-f]*'"),
    (peewee.JSONField, "typeof({0}) NOT IN ('text', 'null') OR NOT json_valid({0})"),
    (peewee.BooleanField, "typeof({0}) NOT IN ('integer', 'null') OR {0} NOT IN (0, 1)"),
    (peewee.IntegerField, "typeof({0}) NOT IN ('integer', 'null')"),
    (peewee.TextField, "typeof({0}) NOT IN ('text', 'null')"),
)


class MalformedColumn(NamedTuple):
    """A column with malformed values, and the SQLite `rowid` of its first one."""

    name: str
    rowid: int


def find_malformed(table: Any, column: Any = None, value: Any = None) -> Iterator[MalformedColumn]:
    """Yield a table's columns with malformed values, in all rows or in rows with `value` in `column`."""
    if is_postgres():
        return
    conditions = {field.column_name: _condition(field) for field in table._meta.sorted_fields}
    selected = [f"MIN(CASE WHEN {text} THEN rowid END)" for text in conditions.values()]
    text, values = f'SELECT {", ".join(selected)} FROM "{table._meta.table_name}"', []
    if column is not None:
        text, values = f'{text} WHERE "{column.column_name}" = ?', [column.db_value(value)]
    for name, rowid in zip(conditions, db.execute_sql(text, values).fetchone(), strict=True):
        if rowid is not None:
            yield MalformedColumn(name, rowid)


def is_well_formed(field: Any) -> peewee.SQL:
    """Return a condition for queries on one table: this column's value is not malformed."""
    return peewee.SQL("true" if is_postgres() else f"({_condition(field)}) IS NOT TRUE")


def _condition(field: Any) -> str:
    stored = field.rel_field if isinstance(field, peewee.ForeignKeyField) else field
    condition = next(text for kind, text in _CONDITIONS if isinstance(stored, kind))
    return condition.format(f'"{field.column_name}"')
