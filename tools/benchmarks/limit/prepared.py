"""Prepared statements for psycopg2, which has none of its own."""

import re
from typing import Any

from psycopg2.extensions import connection

PARAMETER = re.compile(r"%\((\w+)\)s")


class PreparingConnection(connection):
    """An autocommit connection that prepares each statement on first use."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.autocommit = True
        self.calls: dict[str, str] = {}  # EXECUTE by the statement that it runs

    def fetch(self, sql: str, values: dict[str, Any]) -> list[tuple]:
        """Run a statement with `%(name)s` parameters and return its rows."""
        with self.cursor() as cursor:
            if sql not in self.calls:
                prepare, execute = prepared(f"statement_{len(self.calls)}", sql)
                cursor.execute(prepare)
                self.calls[sql] = execute
            cursor.execute(self.calls[sql], values)
            return cursor.fetchall()


def prepared(name: str, sql: str) -> tuple[str, str]:
    """The PREPARE of a statement, with numbered parameters, and its EXECUTE, with named ones."""
    parameters = list(dict.fromkeys(PARAMETER.findall(sql)))
    numbered = PARAMETER.sub(lambda match: f"${parameters.index(match[1]) + 1}", sql)
    values = ", ".join(f"%({parameter})s" for parameter in parameters)
    return f"PREPARE {name} AS {numbered}", f"EXECUTE {name} ({values})"
