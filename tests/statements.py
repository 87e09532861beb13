"""How many statements something sends to the database."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from models.base import db, is_postgres


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []
        self.queries: list[tuple[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.statements.append(record.getMessage())
        self.queries.append(cast(Any, record.msg))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent while the block runs, as peewee logs them; `len()` of it is their number."""
    with _collecting() as collector:
        yield collector.statements


def plans(call: Callable[[], Any]) -> list[str]:
    """How the database would run each reading that the call sends, were its tables large."""
    with _collecting() as collector:
        call()
    if is_postgres():
        # Small tables are read as a whole; what matters is whether there is an index for it.
        db.execute_sql("SET LOCAL enable_seqscan = off")
        db.execute_sql("SET LOCAL enable_bitmapscan = off")
    explain = "EXPLAIN" if is_postgres() else "EXPLAIN QUERY PLAN"
    readings = [
        query for query in collector.queries if query[0].lstrip("( \n").startswith(("SELECT", "WITH"))
    ]
    return [_lines(db.execute_sql(f"{explain} {text}", values)) for text, values in readings]


def _lines(rows: Any) -> str:
    return "\n".join(str(row[-1]) for row in rows)


@contextmanager
def _collecting() -> Iterator[_Collector]:
    log = logging.getLogger("peewee")
    collector, level = _Collector(), log.level
    log.addHandler(collector)
    log.setLevel(logging.DEBUG)
    try:
        yield collector
    finally:
        log.setLevel(level)
        log.removeHandler(collector)
