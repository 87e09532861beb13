"""Schema migrations, applied in order by `flask db upgrade`."""

from collections.abc import Iterable
from pathlib import Path

import click
from playhouse.migrations import Runner

from models.base import db
from models.database import is_postgres, process_lock

FOLDER = Path(__file__).parent
# Column types on PostgreSQL and SQLite.
TYPES = {
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "bytes": ("BYTEA", "BLOB"),
    "json": ("JSONB", "TEXT"),
    "serial": ("BIGSERIAL", "INTEGER"),
    "timestamp": ("TIMESTAMPTZ", "TIMESTAMPTZ"),
    "uuid": ("UUID", "TEXT"),
}


class IncompatibleDatabase(click.ClickException):
    """The database contains migrations that this version does not know."""


def execute(statements: str) -> None:
    """Run a migration's SQL statements. Placeholders such as `{uuid}` become the database's types."""
    types = {name: postgresql if is_postgres() else sqlite for name, (postgresql, sqlite) in TYPES.items()}
    for statement in statements.format(**types).split(";\n"):
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
