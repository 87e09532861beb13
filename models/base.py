"""The clock, and fields and methods shared by all tables."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any, NamedTuple, Self

import peewee
import uuid_utils.compat

from database_errors import CONFLICTS
from errors import ApiError, NotFound, invalid
from models.database import Query, db, for_update, is_postgres
from models.fields import UUIDField
from rules.timestamps import format_timestamp, parse_stored_time


class Clock:
    """The UTC clock, truncated to milliseconds. Tests set `fixed`."""

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        now = self.fixed or datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def __deepcopy__(self, memo: dict) -> "Clock":
        # peewee copies inherited fields with their defaults; all copies must share this clock.
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
        return None if value is None else parse_stored_time(value)


class BytesField(peewee.BlobField):
    """Bytes on both databases; psycopg2 alone would return a memoryview."""

    def python_value(self, value: Any) -> bytes | None:
        if value is None:
            return None
        # SQLite can return text or a number.
        return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def new_id() -> Any:
    """Return a UUIDv7. Ids increase in creation order (R23)."""
    return uuid_utils.compat.uuid7()


def _table_name(model: type[peewee.Model]) -> str:
    name = re.sub(r"(?<!^)([A-Z])", r"_\1", model.__name__).lower()
    return re.sub(r"(?<!e)y$", "ie", name) + "s"


class Table(peewee.Model):
    """A table, named after its class by default: `audit_entries` for AuditEntry.

    `personal_data` declares candidates' personal data. None declares that the table contains none.
    """

    personal_data: "PersonalData | None"
    # Names the systems that keep copies of a candidate's data, if any do.
    name_copies: "Callable[[Any], list[str]] | None" = None
    # Peewee adds these to tables with the foreign key; type checkers do not see it.
    organization_id: Any
    assessment_id: Any
    key_id: Any
    session_id: Any

    class Meta:
        database = db
        table_function = _table_name


class Model(Table):
    """A table with a UUIDv7 id and a creation time."""

    # If set, a change to any other column sets `updated_at`, which is null until the first change.
    untracked_columns: frozenset[str] | None = None

    id = UUIDField(primary_key=True, default=new_id)
    created_at = TimestampField(default=clock.now)

    def lock(self, strength: str = "FOR NO KEY UPDATE") -> Self:
        """Reload the row, locked until the transaction ends. Raises DoesNotExist."""
        table: Any = type(self)
        return for_update(table.select().where(table.id == self.id), strength).get()

    def changed_columns(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values that differ from the row's."""
        return {name: value for name, value in values.items() if getattr(self, name) != value}

    def update_columns(self, **values: Any) -> int:
        """Update the row and this instance; returns the number of changed rows, 0 or 1."""
        table: Any = type(self)
        untracked = self.untracked_columns
        if untracked is not None and self.changed_columns(values).keys() - untracked:
            values = {"updated_at": clock.now()} | values
        changed_rows = table.update(**values).where(table.id == self.id).execute() if values else 0
        for name, value in values.items():
            setattr(self, name, value)
        return changed_rows

    def set_once(self, column: str, **values: Any) -> None:
        """Set an empty timestamp to now, with other columns. Raises NotFound if it is already set."""
        table: Any = type(self)
        update = table.update({column: clock.now()} | values)
        if not update.where(table.id == self.id, getattr(table, column).is_null()).execute():
            raise NotFound()


def tables() -> list[Any]:
    """Return all tables, parents before children."""
    parents = {table: dict.fromkeys(table._meta.refs.values()) for table in _concrete_subclasses(Table)}
    return list(TopologicalSorter(parents).static_order())


def _concrete_subclasses(table: Any) -> Iterator[Any]:
    """Yield the leaf subclasses. Classes with subclasses, such as Model, are not tables."""
    for child in table.__subclasses__():
        yield from _concrete_subclasses(child) if child.__subclasses__() else [child]


def add_index(name: str, *columns: Any, where: Any = None, conflict: type[ApiError] | None = None) -> None:
    """Declare a named index. Indexes that only make reads faster are declared in migrations.

    conflict -- the error for requests that violate the index; makes it unique
    """
    model = columns[0].model
    model.add_index(model.index(*columns, where=where, name=name, unique=conflict is not None))
    if conflict is not None:
        names = [f"{model._meta.table_name}.{column.column_name}" for column in columns]
        CONFLICTS[name] = CONFLICTS[", ".join(names)] = conflict


def find_referenced(rows: Query, row_id: Any, field: str) -> Any:
    """Find the row that an id in the request body refers to; None for null. Raises Invalid for the field (R8).

    Look up ids in the path first: their 404 takes precedence (R5).

    rows -- the rows that the caller can reference, such as `Rubric.visible_to(caller)`
    """
    if row_id is None:
        return None
    row = rows.where(rows.model.id == row_id).get_or_none()
    if row is None:
        raise invalid(field, f"No such {field.removesuffix('Id')} in your organization.")
    return row


class PersonalData(NamedTuple):
    """Declares that a table contains candidates' personal data (models/privacy.py).

    name -- used in erasure receipts and in the list that candidates see
    description -- for candidates; None hides the data from them (R3)
    received_at -- the name of the timestamp column
    """

    name: str
    description: str | None
    received_at: str = "created_at"


class SoftDeleted:
    """For an organization's tables with `deleted_at`: a deleted row does not exist for callers."""

    @classmethod
    def alive(cls: Any) -> Query:
        return cls.select().where(cls.deleted_at.is_null())

    @classmethod
    def visible_to(cls: Any, caller: Any) -> Query:
        return cls.alive().where(cls.organization == caller.organization_id)


class ErasedWithSession:
    """For tables whose rows belong to a session and are deleted when the candidate is erased.

    Every table with `personal_data` has these two methods. The session is None for an unredeemed key.
    """

    @classmethod
    def personal_rows(cls: Any, key: Any, session: Any) -> Query:
        return cls.select().where(cls._belongs_to(session))

    @classmethod
    def erase_personal_data(cls: Any, key: Any, session: Any) -> int:
        """Erase the candidate's personal data; returns the number of changed rows."""
        return cls.delete().where(cls._belongs_to(session)).execute()

    @classmethod
    def _belongs_to(cls: Any, session: Any) -> Any:
        # Without a session, `==` would select the rows that belong to no session, such as the runs of task checks.
        return (cls.session == session) & cls.session.is_null(False)


def utc_month(column: Any) -> Any:
    """Return SQL for a timestamp's UTC month, such as `2026-04`."""
    if is_postgres():
        return peewee.fn.to_char(peewee.fn.timezone("UTC", column), "YYYY-MM").coerce(False)
    return peewee.fn.substr(column, 1, 7).coerce(False)


def case_folded(*parts: str | None) -> str:
    """Join and case-fold text for search, independent of database and locale."""
    return "\n".join(filter(None, parts)).casefold()
