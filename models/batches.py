"""Read large results in batches, ordered by unique columns (keyset pagination)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import getitem
from typing import Any

import peewee

from models.base import Query
from rules.rows import MALFORMED_ID

MAX_ROWS = 500
MAX_BYTES = 4 * 1024 * 1024

Row = dict[str, Any]


def read_all(query: Query, *order: peewee.Field, max_rows: int = MAX_ROWS) -> Iterator[Any]:
    """Yield a query's rows as instances, read `max_rows` at a time."""

    def read(rows: Query) -> list[Any]:
        return list(rows.order_by(*order).limit(max_rows))

    return _read(query, order, read, getattr)


def read_wide(query: Query, order: Sequence[peewee.Field], size: peewee.Field) -> Iterator[Row]:
    """Yield the rows of a query with a wide column as dictionaries, read at most MAX_BYTES at a time.

    query -- selects the columns of `order`
    size -- the wide column's size in bytes
    """
    return _read(query, order, lambda rows: first_wide(rows, order, size), getitem)


def _read(
    query: Query, order: Sequence[peewee.Field], read: Callable[[Query], list[Any]], get: Callable[..., Any]
) -> Iterator[Any]:
    batch, count = read(query), 0
    while batch:
        last, count = [get(batch[-1], field.name) for field in order], count + len(batch)
        yield from batch
        batch.clear()  # frees memory before the next read
        # A malformed id does not say where the next batch starts.
        batch = read(query.offset(count) if MALFORMED_ID in last else after(query, order, last))


def first_wide(query: Query, order: Sequence[peewee.Field], size: peewee.Field) -> list[Row]:
    """Read the first batch for `read_wide`: up to MAX_BYTES, but at least one row."""
    narrow: Any = query.select(*order, size.alias("size")).order_by(*order).limit(MAX_ROWS).dicts()
    # An outer join without a matching row has no size.
    first = next(split(narrow, lambda row: row["size"] or 0), [])
    if not first:
        return []
    last = peewee.Tuple(*(first[-1][field.name] for field in order))
    rows: Any = query.where(peewee.Tuple(*order) <= last).order_by(*order).dicts()
    return list(rows)


def after(
    query: Query, order: Sequence[peewee.Field], values: Sequence[Any] | None, reverse: bool = False
) -> Query:
    """Select the rows after these values, or before them if `reverse` is set. None selects all rows."""
    if values is not None:
        last = peewee.Tuple(*(field.db_value(value) for field, value in zip(order, values, strict=True)))
        position = peewee.Tuple(*order)
        query = query.where(position < last if reverse else position > last)
    return query.order_by(*(field.desc() if reverse else field for field in order))


def split(items: Iterable[Any], get_size: Callable[[Any], int]) -> Iterator[list]:
    """Split items into lists of at least one item, and at most MAX_BYTES and MAX_ROWS."""
    batch: list[Any] = []
    total = 0
    for item in items:
        total += get_size(item)
        if batch and (total > MAX_BYTES or len(batch) == MAX_ROWS):
            yield batch
            batch, total = [], get_size(item)
        batch.append(item)
    if batch:
        yield batch
