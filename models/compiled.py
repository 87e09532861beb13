"""Statements whose text is built once, for the few look-ups that every request makes.

peewee builds a statement's text anew at each execution. For a row with its joins that takes a millisecond, several
times what the database needs to find it; built once, what is left is to fill in the values.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import peewee

from models.base import Query, db


class Parameter(peewee.Value):
    """Stands in a query for a value that is known when it runs, in the form that `field` stores."""

    def __init__(self, name: str, field: peewee.Field) -> None:
        # Without a converter, so that it arrives as it is among the statement's values.
        super().__init__(self, converter=False, unpack=False)
        self.name, self.field = name, field

    def __sql__(self, ctx: Any) -> Any:
        ctx.literal(ctx.state.param or "?")
        ctx._values.append(self)
        return ctx


class Compiled:
    """A query made by `build`, with Parameters in the place of values.

    It is built at its first run, since only then it is known which database it will speak to.
    """

    def __init__(self, build: Callable[[], Query]) -> None:
        self._build = build
        self._built: _Built | None = None

    def all(self, **values: Any) -> list[Any]:
        """The rows as instances, such as the query would give them."""
        built = self._for_this_database()
        cursor, rows = built.run(values)
        reader = built.reader = built.reader or _Reader(built.query, cursor)
        return [reader.instance(row) for row in rows]

    def dicts(self, **values: Any) -> list[dict[str, Any]]:
        """The rows as dictionaries, such as a query with dicts() would give them."""
        built = self._for_this_database()
        cursor, rows = built.run(values)
        columns = built.columns = built.columns or _columns_of(built.query, cursor)
        return [_read(columns, row) for row in rows]

    def scalar(self, **values: Any) -> Any:
        """The first column of the one row."""
        _, rows = self._for_this_database().run(values)
        return rows[0][0]

    def first(self, **values: Any) -> Any:
        """The first row, or None."""
        return next(iter(self.all(**values)), None)

    def returns_any(self, **values: Any) -> bool:
        """Whether it gives any row."""
        _, rows = self._for_this_database().run(values)
        return bool(rows)

    def sql(self, **values: Any) -> tuple[str, list[Any]]:
        """The statement's text, and what stands for its placeholders."""
        return self._for_this_database().sql(values)

    def _for_this_database(self) -> "_Built":
        # Threads that come at the same moment may each build one; each goes on with its own, and one stays.
        built = self._built
        if built is None or built.database is not db.obj:
            built = self._built = _Built(self._build())
        return built


class _Built:
    """A query as one database takes it, and how its rows are read, which its first answer shows."""

    def __init__(self, query: Query) -> None:
        self.database = db.obj
        self.query: Any = query
        self.reader: _Reader | None = None
        self.columns: list[Column] | None = None
        self._text, self._parameters = self.query.sql()

    def sql(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        return self._text, [_filled(each, values) for each in self._parameters]

    def run(self, values: dict[str, Any]) -> tuple[Any, list[tuple]]:
        """The cursor and all rows. To the last: SQLite ends a statement that writes, and keeps it or finds the disk
        full, when nothing is left to fetch of it."""
        cursor = db.execute_sql(*self.sql(values))
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            return cursor, cursor.fetchall()


class Column(NamedTuple):
    """Where a column stands in a row, what it is called, and what makes a value of ours of it, or None."""

    place: int
    name: str
    convert: Callable[[Any], Any] | None


def _read(columns: list[Column], row: tuple) -> dict[str, Any]:
    return {
        name: convert(row[place]) if convert and row[place] is not None else row[place]
        for place, name, convert in columns
    }


def _columns_of(query: Any, cursor: Any) -> list[Column]:
    plan: Any = peewee.ModelDictCursorWrapper(cursor, query.model, query._returning)
    plan.initialize()
    return [
        Column(place, name, _needed(field, convert))
        for place, (name, field, convert) in enumerate(
            zip(plan.unique_columns, plan.fields, plan.converters, strict=True)
        )
    ]


class _Reader:
    """Makes of a row the instances that peewee would make of it, by a plan that peewee makes once.

    Peewee's own way sets each column through its descriptor, which for the fifty of a key with its assessment and
    session takes longer than to read them from the database.
    """

    def __init__(self, query: Any, cursor: Any) -> None:
        plan: Any = peewee.ModelCursorWrapper(
            cursor, query.model, query._returning, query._from_list, query._joins
        )
        plan.initialize()
        self._columns: dict[Any, list[Column]] = {model: [] for model in plan.key_to_constructor}
        self._further: list[tuple[int, str]] = []
        for (index, model, name, convert), field in zip(plan._row_spec, plan.fields, strict=True):
            if field is None:
                self._further.append((index, name))
            else:
                self._columns[model].append(Column(index, name, _needed(field, convert)))
        self._root = query.model
        self._joins = [(source, attribute, joined) for source, attribute, joined, *_ in plan.src_to_dest]

    def instance(self, row: tuple) -> Any:
        parts = {model: self._part(model, columns, row) for model, columns in self._columns.items()}
        for source, attribute, joined in self._joins:
            found = parts[joined]
            setattr(parts[source], attribute, found if found._pk is not None else None)
        for index, name in self._further:
            setattr(parts[self._root], name, row[index])
        return parts[self._root]

    @staticmethod
    def _part(model: Any, columns: list[Column], row: tuple) -> Any:
        part = model(__no_default__=True)
        part.__data__ = _read(columns, row)
        return part


# The driver gives them as they are meant.
AS_THEY_COME = (peewee.TextField, peewee.IntegerField)


def _needed(field: Any, convert: Callable | None) -> Callable | None:
    return None if isinstance(field, AS_THEY_COME) else convert


def _filled(parameter: Any, values: dict[str, Any]) -> Any:
    if isinstance(parameter, Parameter):
        return parameter.field.db_value(values[parameter.name])
    return parameter
