"""The clock, and the columns and methods shared by all tables."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any, NamedTuple, Self

import peewee
import uuid_utils.compat

from errors import CONFLICTS, ApiError, NotFound, invalid
from models.database import Query, db, for_update, is_postgres
from models.fields import UUIDField
from rules.timestamps import format_timestamp, readable_time


class Clock:
    """The current time in UTC, in whole milliseconds as the API shows it. Tests set `fixed`."""

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        now = self.fixed or datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def __deepcopy__(self, memo: dict) -> "Clock":
        # peewee copies inherited fields with their defaults; all of them share this clock.
        return self


clock = Clock()


class TimestampField(peewee.Field):
    """An aware UTC datetime: TIMESTAMPTZ, or ISO text with milliseconds on SQLite."""

    field_type = "TIMESTAMPTZ"

    def db_value(self, value: datetime | None) -> Any:
        if value is None or is_postgres():
            return value
        return format_timestamp(value)

    def python_value(self, value: Any) -> datetime | None:
        return None if value is None else readable_time(value)


class BytesField(peewee.BlobField):
    """Bytes; PostgreSQL's driver would return a memoryview, which equals nothing."""

    def python_value(self, value: Any) -> bytes | None:
        if value is None:
            return None
        # SQLite returns text or a number if the column was written directly.
        return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def new_id() -> Any:
    """A UUIDv7: ids ascend in the order of their creation (R23)."""
    return uuid_utils.compat.uuid7()


def _table_name(model: type[peewee.Model]) -> str:
    name = re.sub(r"(?<!^)([A-Z])", r"_\1", model.__name__).lower()
    return re.sub(r"(?<!e)y$", "ie", name) + "s"


class Table(peewee.Model):
    """A table, by default named like its class: `audit_entries` for AuditEntry.

    Each table declares its personal data of candidates, or None.
    """

    personal_data: "PersonalData | None"
    # Peewee adds these to tables with such a foreign key; type checkers do not see it.
    organization_id: Any
    assessment_id: Any
    key_id: Any
    session_id: Any

    class Meta:
        database = db
        table_function = _table_name


class Model(Table):
    """A table with a UUIDv7 id and its creation time."""

    # Set by tables whose `updated_at` follows every other column; null until the first change.
    untracked_columns: frozenset[str] | None = None

    id = UUIDField(primary_key=True, default=new_id)
    created_at = TimestampField(default=clock.now)

    def lock(self, strength: str = "FOR NO KEY UPDATE") -> Self:
        """Reload the row, locked until the transaction ends. Raises DoesNotExist."""
        table: Any = type(self)
        return for_update(table.select().where(table.id == self.id), strength).get()

    def changed_columns(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values that differ from the row's."""
        return {name: value for name, value in values.items() if getattr(self, name) != value}

    def update_columns(self, **values: Any) -> int:
        """Update columns of the row and of this instance; returns the number of changed rows, 1 or 0."""
        table: Any = type(self)
        if self._changes_shown(values):
            values = {"updated_at": clock.now()} | values
        changed_rows = table.update(**values).where(table.id == self.id).execute() if values else 0
        for name, value in values.items():
            setattr(self, name, value)
        return changed_rows

    def _changes_shown(self, values: dict[str, Any]) -> bool:
        """Return whether the values change a column that `updated_at` follows."""
        hidden = self.untracked_columns
        return hidden is not None and not self.changed_columns(values).keys() <= hidden

    def set_once(self, column: str, **values: Any) -> None:
        """Set an empty timestamp to now, and other columns. Raises NotFound if it has been set before."""
        table: Any = type(self)
        update = table.update({column: clock.now()} | values)
        if not update.where(table.id == self.id, getattr(table, column).is_null()).execute():
            raise NotFound()


def tables() -> list[Any]:
    """Every table, parents before children."""
    parents = {table: dict.fromkeys(table._meta.refs.values()) for table in _concrete_subclasses(Table)}
    return list(TopologicalSorter(parents).static_order())


def _concrete_subclasses(table: Any) -> Iterator[Any]:
    """The subclasses without subclasses of their own: the others, such as Model, are not tables."""
    for child in table.__subclasses__():
        yield from _concrete_subclasses(child) if child.__subclasses__() else [child]


def add_index(name: str, *columns: Any, where: Any = None, conflict: type[ApiError] | None = None) -> None:
    """Declare an index with a condition, an explicit name or an error response; others are in `Meta.indexes`.

    conflict -- makes the index unique; the response to a request that violates it
    """
    model = columns[0].model
    model.add_index(model.index(*columns, where=where, name=name, unique=conflict is not None))
    if conflict is not None:
        names = [f"{model._meta.table_name}.{column.column_name}" for column in columns]
        CONFLICTS[name] = CONFLICTS[", ".join(names)] = conflict


def find_referenced(rows: Query, row_id: Any, field: str) -> Any:
    """Find the row whose id is in a field of the request body; None for null. Raises Invalid with the field (R8).

    Call it after looking up the ids in the path, whose 404 comes first (R5).

    rows -- the rows that the caller may refer to, such as `Rubric.visible_to(caller)`
    """
    if row_id is None:
        return None
    row = rows.where(rows.model.id == row_id).get_or_none()
    if row is None:
        raise invalid(field, f"No such {field.removesuffix('Id')} in your organization.")
    return row


class PersonalData(NamedTuple):
    """Declares that a table has personal data of candidates (models/privacy.py).

    name -- in receipts, and for candidates
    description -- for candidates; None if they may not see it (R3)
    received_at -- the column with a row's time
    """

    name: str
    description: str | None
    received_at: str = "created_at"


class ErasedWithSession:
    """For tables whose rows belong to a session and are deleted when the candidate is erased.

    Any table with `personal_data` has these two methods. The session is None for a key that was not redeemed.
    """

    @classmethod
    def personal_rows(cls: Any, key: Any, session: Any) -> Query:
        """The rows about a candidate."""
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_personal_data(cls: Any, key: Any, session: Any) -> int:
        """Erase the personal data in these rows; returns how many rows changed."""
        return cls.delete().where(cls.session == session).execute()


def month_of(column: Any) -> Any:
    """The month of a timestamp in UTC, `2026-04`, in a query."""
    if is_postgres():
        return peewee.fn.to_char(peewee.fn.timezone("UTC", column), "YYYY-MM").coerce(False)
    return peewee.fn.substr(column, 1, 7).coerce(False)


def case_folded(*parts: str | None) -> str:
    """The parts case-folded for search, identically on every database and locale."""
    return "\n".join(filter(None, parts)).casefold()
