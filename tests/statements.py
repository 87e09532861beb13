"""Record SQL statements and read their query plans."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from models.base import db, is_postgres


class Statement(str):
    """A statement's text and values."""

    values: Any


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.statements: list[Statement] = []

    def emit(self, record: Any) -> None:
        if record.thread != self.thread:
            return
        text, values = record.msg
        self.statements.append(Statement(text))
        self.statements[-1].values = values


@contextmanager
def capture_queries() -> Iterator[list[Statement]]:
    """Collect the statements that this thread sends within the block."""
    log, collector = logging.getLogger("peewee"), _Collector()
    level = log.level
    log.addHandler(collector)
    log.setLevel(logging.DEBUG)
    try:
        yield collector.statements
    finally:
        log.setLevel(level)
        log.removeHandler(collector)


def plans(call: Callable[[], Any]) -> list[str]:
    """Return the plan of each query that `call` sends."""
    with capture_queries() as statements:
        call()
    if is_postgres():
        # PostgreSQL ignores the indexes of small tables.
        db.execute_sql("SET LOCAL enable_seqscan = off")
        db.execute_sql("SET LOCAL enable_bitmapscan = off")
    explain = "EXPLAIN" if is_postgres() else "EXPLAIN QUERY PLAN"
    queries = [query for query in statements if query.lstrip("( \n").startswith(("SELECT", "WITH"))]
    rows = [db.execute_sql(f"{explain} {query}", query.values) for query in queries]
    return ["\n".join(str(row[-1]) for row in plan) for plan in rows]
