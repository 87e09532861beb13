"""Schema migrations, applied in order by `flask db upgrade`."""

from collections.abc import Iterable
from pathlib import Path

import click
from playhouse.migrations import Runner

from models.base import db
from models.database import is_postgres, process_lock

FOLDER = Path(__file__).parent
# On PostgreSQL and on SQLite.
TYPES = {
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "bytes": ("BYTEA", "BLOB"),
    "json": ("JSONB", "TEXT"),
    "serial": ("BIGSERIAL", "INTEGER"),
    "timestamp": ("TIMESTAMPTZ", "TIMESTAMPTZ"),
    "uuid": ("UUID", "TEXT"),
}


class IncompatibleDatabase(click.ClickException):
    """The database has migrations that this version does not have."""


def execute(statements: str) -> None:
    """Run a migration's SQL statements; placeholders such as `{uuid}` are replaced by the database's types."""
    types = {name: postgresql if is_postgres() else sqlite for name, (postgresql, sqlite) in TYPES.items()}
    for statement in statements.format(**types).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def upgrade() -> list[str]:
    """Apply missing migrations, one process at a time; returns their names. Raises IncompatibleDatabase."""
    with process_lock("migrate"):
        runner = _runner()
        check_history(runner.applied())
        return runner.up()


def status() -> list[tuple[str, bool]]:
    """List the migrations; returns each name, and whether it is applied."""
    return [(migration.name, bool(migration.applied)) for migration in _runner().status()]


def missing() -> list[str]:
    """List the names of migrations that are not applied."""
    return [name for name, applied in status() if not applied]


def check_history(applied: Iterable[str]) -> None:
    """Raise IncompatibleDatabase if an applied migration is unknown."""
    known = sorted(file.stem for file in FOLDER.glob("[0-9]*.py"))
    unknown = sorted(set(applied) - set(known))
    if unknown and unknown[0] > known[-1]:
        raise IncompatibleDatabase(
            f"This database is from a newer version of Proofstone: it has {unknown[0]}."
        )
    if unknown:
        raise IncompatibleDatabase(
            "This database is from before 1.0.0 and can't be upgraded. Export its sessions with the version that"
            " made it and start empty."
        )


def _runner() -> Runner:
    return Runner(db.obj, directory=str(FOLDER), table_name="migrations")
