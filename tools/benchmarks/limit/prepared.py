"""Prepared statements for psycopg2, which does not support them."""

import re
from typing import Any

from psycopg2.extensions import connection

PARAMETER = re.compile(r"%\((\w+)\)s")


class PreparingConnection(connection):
    """An autocommit connection that prepares each statement on first use."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.autocommit = True
        self.executes: dict[str, str] = {}  # by statement

    def fetch(self, sql: str, values: dict[str, Any]) -> list[tuple]:
        """Run a statement with `%(name)s` parameters and return its rows."""
        with self.cursor() as cursor:
            if sql not in self.executes:
                name, parameters = f"statement_{len(self.executes)}", [*dict.fromkeys(PARAMETER.findall(sql))]
                numbered = PARAMETER.sub(lambda match: f"${parameters.index(match[1]) + 1}", sql)
                cursor.execute(f"PREPARE {name} AS {numbered}")
                arguments = ", ".join(f"%({parameter})s" for parameter in parameters)
                self.executes[sql] = f"EXECUTE {name} ({arguments})"
            cursor.execute(self.executes[sql], values)
            return cursor.fetchall()
