"""Wide rows read some at a time: an envelope can be megabytes, and a session has thousands of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import peewee

from models.base import Query

MOST_ROWS = 500
MOST_BYTES = 4 * 1024 * 1024


def rows(query: Query, place: peewee.Field, size: peewee.Field) -> Iterator[tuple]:
    """All rows of a query in the order of `place`, as tuples, without ever holding many more than MOST_BYTES.

    query -- selects `place` first, which no two of its rows share
    size -- the bytes of a row's wide column, in a narrow one
    """
    found = piece(query, place, size)
    while found:
        yield from found
        found = piece(query.where(place > found[-1][0]), place, size)


def piece(query: Query, place: peewee.Field, size: peewee.Field) -> list[tuple]:
    """The first rows of such a query: as many as come to MOST_BYTES together, but at least one."""
    ahead: Any = query.select(place, size).order_by(place).limit(MOST_ROWS).tuples()
    # A row that is missing in an outer join has no size.
    first = next(batches(ahead, lambda row: row[1] or 0), [])
    return list(query.where(place <= first[-1][0]).order_by(place).tuples()) if first else []


def batches(items: Iterable[Any], size_of: Callable[[Any], int]) -> Iterator[list]:
    """Items in lists that come to MOST_BYTES and MOST_ROWS at most, each of at least one."""
    batch: list[Any] = []
    total = 0
    for item in items:
        total += size_of(item)
        if batch and (total > MOST_BYTES or len(batch) == MOST_ROWS):
            yield batch
            batch, total = [], size_of(item)
        batch.append(item)
    if batch:
        yield batch
