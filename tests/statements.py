"""How many statements something sends to the database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.statements.append(record.getMessage())


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent while the block runs, as peewee logs them; `len()` of it is their number."""
    log = logging.getLogger("peewee")
    collector, level = _Collector(), log.level
    log.addHandler(collector)
    log.setLevel(logging.DEBUG)
    try:
        yield collector.statements
    finally:
        log.setLevel(level)
        log.removeHandler(collector)
