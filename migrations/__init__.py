"""Schema migrations, applied in order by `flask db upgrade`."""

import re
from collections.abc import Iterable
from pathlib import Path

import click
from playhouse.migrations import Runner

from models.base import db
from models.database import is_postgres, process_lock

FOLDER = Path(__file__).parent
# Column types on PostgreSQL and SQLite.
TYPES = {
    "boolean": ("BOOLEAN", "INTEGER CHECK ({0} IN (0, 1))"),
    "bytes": ("BYTEA", "BLOB"),
    "json": ("JSONB", "TEXT CHECK (json_valid({0}))"),
    "serial": ("BIGSERIAL", "INTEGER"),
    "timestamp": ("TIMESTAMPTZ", "TEXT CHECK ({0} GLOB '????-??-??T??:??:??.???Z')"),
    "uuid": ("UUID", "TEXT CHECK (length({0}) = 32)"),
}
_COLUMN = re.compile(r"(\w+) \{(\w+)\}")


class IncompatibleDatabase(click.ClickException):
    """The database contains migrations that this version does not know."""


def execute(statements: str) -> None:
    """Run a migration's SQL statements, with the database's types for placeholders such as `id {uuid}`."""

    def column(match: re.Match) -> str:
        postgresql, sqlite = TYPES[match[2]]
        return f"{match[1]} {postgresql if is_postgres() else sqlite.format(match[1])}"

    statements = _COLUMN.sub(column, statements)
    if not is_postgres():
        # SQLite then rejects values of a different type.
        statements = statements.replace(" BIGINT", " INTEGER").replace("\n);\n", "\n) STRICT;\n")
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def upgrade() -> list[str]:
    """Apply pending migrations and return their names. Only one process runs at a time. Raises IncompatibleDatabase."""
    with process_lock("migrate"):
        runner = _runner()
        check_history(runner.applied())
        return runner.up()


def status() -> list[tuple[str, bool]]:
    """Return the name of each migration, and whether it is applied."""
    return [(migration.name, bool(migration.applied)) for migration in _runner().status()]


def pending() -> list[str]:
    """Return the names of unapplied migrations."""
    return [name for name, applied in status() if not applied]


def check_history(applied: Iterable[str]) -> None:
    """Raise IncompatibleDatabase if an applied migration is unknown."""
    known = sorted(file.stem for file in FOLDER.glob("[0-9]*.py"))
    unknown = sorted(set(applied) - set(known))
    if unknown and unknown[0] > known[-1]:
        raise IncompatibleDatabase(
            f"This database is from a newer version of Proofstone: it contains {unknown[0]}."
        )
    if unknown:
        raise IncompatibleDatabase(
            "This database is from before 1.0.0 and can't be upgraded. Export its sessions with the version that"
            " created it, then start with an empty database."
        )


def _runner() -> Runner:
    return Runner(db.obj, directory=str(FOLDER), table_name="migrations")
