"""Schema migrations, applied in order by `flask db upgrade` while the service runs. CONTRIBUTING.md has their rules."""

import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path

import click
import peewee
from playhouse.migrations import Migration, Runner

from database_errors import DEADLOCK, LOCK_NOT_AVAILABLE, sqlstate
from errors import first_line
from migrations.lock import upgrade_lock
from models.base import db
from models.database import is_postgres
from models.heartbeats import MAX_SILENCE, processes_before

FOLDER = Path(__file__).parent
# Requests queue behind a migration that waits for its lock. Between two attempts they continue.
LOCK_TIMEOUT_SECONDS = 2
PAUSE_SECONDS = 2
MAX_ATTEMPTS = 30
# Column types on PostgreSQL and SQLite.
TYPES = {
    "boolean": ("BOOLEAN", "INTEGER CHECK ({0} IN (0, 1))"),
    "bytes": ("BYTEA", "BLOB"),
    "json": ("JSONB", "TEXT CHECK (json_valid({0}))"),
    "ordered": ('TEXT COLLATE "C"', "TEXT"),  # by code points on both
    "serial": ("BIGSERIAL", "INTEGER"),
    "timestamp": ("TIMESTAMPTZ", "TEXT CHECK ({0} GLOB '????-??-??T??:??:??.???Z')"),
    "uuid": ("UUID", "TEXT CHECK (length({0}) = 32)"),
}
_COLUMN = re.compile(r"(\w+) \{(\w+)\}")

log = logging.getLogger("proofstone.migrations")


class UpgradeRejected(click.ClickException):
    """The database cannot be upgraded. The message says why and what to do."""


# Statements of migrations


def execute(statements: str) -> None:
    """Run a migration's SQL statements, with the database's types for placeholders such as `id {uuid}`."""

    def column(match: re.Match) -> str:
        postgresql, sqlite = TYPES[match[2]]
        return f"{match[1]} {postgresql if is_postgres() else sqlite.format(match[1])}"

    statements = _COLUMN.sub(column, statements)
    if is_postgres():
        db.execute_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    else:
        # SQLite then rejects values of a different type.
        statements = statements.replace(" BIGINT", " INTEGER").replace("\n);\n", "\n) STRICT;\n")
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def create_index(name: str, on: str, unique: bool = False) -> None:
    """Create an index without blocking writes, in a migration with `atomic = False`.

    on -- table, columns and condition, such as `users (email) WHERE active`
    """
    concurrently = "CONCURRENTLY" if is_postgres() else ""
    # An interrupted attempt leaves an invalid index.
    db.execute_sql(f"DROP INDEX {concurrently} IF EXISTS {name}")
    db.execute_sql(f"CREATE {'UNIQUE' if unique else ''} INDEX {concurrently} {name} ON {on}")


def add_constraint(table: str, name: str, definition: str) -> None:
    """Add a constraint for new and changed rows. SQLite cannot add constraints, so only PostgreSQL has it."""
    if is_postgres():
        execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")


def validate_constraint(table: str, name: str) -> None:
    """Check a constraint's existing rows, in a later migration than `add_constraint`: it reads the whole table."""
    if is_postgres():
        execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


# Upgrade


def upgrade() -> list[str]:
    """Apply pending migrations and return their names. Only one process runs at a time. Raises UpgradeRejected."""
    with upgrade_lock():
        runner = _runner()
        applied = runner.applied()
        missing = [migration for migration in runner.status() if not migration.applied]
        if (newer := _newer(applied)) and not missing:  # after a rollback
            log.warning("This database is from a newer version of Proofstone: it contains %s.", newer)
            return []
        check_history(applied)
        if applied:
            _check_processes(missing)
        for migration in missing:
            _apply(runner, migration.name)
        return [migration.name for migration in missing]


def _check_processes(migrations: list[Migration]) -> None:
    """Raise UpgradeRejected while processes are running that a migration would break."""
    for migration in migrations:
        oldest = getattr(migration.load(), "oldest_version", None)
        if oldest and (running := processes_before(oldest)):
            raise UpgradeRejected(
                f"{migration.name} breaks processes older than {oldest}: {', '.join(running)}. Nothing was applied."
                f" Stop them, and run `flask db upgrade` again {MAX_SILENCE.seconds // 60} minutes later."
            )


def _apply(runner: Runner, name: str) -> None:
    """Apply a migration. Try again while a transaction holds its lock."""
    for _ in range(MAX_ATTEMPTS):
        try:
            runner.up(name)
            return
        except peewee.DatabaseError as error:
            reason = first_line(error)
            if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                raise UpgradeRejected(f"{name} failed: {reason}. Earlier migrations are applied.") from error
            log.warning("%s waits for its lock: %s", name, reason)
        time.sleep(PAUSE_SECONDS)
    raise UpgradeRejected(
        f"{name} was not applied after {MAX_ATTEMPTS} attempts: {reason}. Earlier migrations are applied. Find the"
        " transaction that holds the lock with `SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY"
        " xact_start`, wait for its end, and run `flask db upgrade` again."
    )


# State


def status() -> list[tuple[str, bool]]:
    """Return the name of each migration, and whether it is applied."""
    return [(migration.name, bool(migration.applied)) for migration in _runner().status()]


def pending() -> list[str]:
    """Return the names of unapplied migrations."""
    return [name for name, applied in status() if not applied]


def check_history(applied: Iterable[str]) -> None:
    """Raise UpgradeRejected if an applied migration is unknown."""
    if newer := _newer(applied):
        raise UpgradeRejected(f"This database is from a newer version of Proofstone: it contains {newer}.")
    if set(applied) - set(_known()):
        raise UpgradeRejected(
            "This database is from before 1.0.0 and can't be upgraded. Export its sessions with the version that"
            " created it, then start with an empty database."
        )


def _newer(applied: Iterable[str]) -> str | None:
    """Return the first migration of a newer version, unless the database also has unknown earlier ones."""
    known = _known()
    first = min(set(applied) - set(known), default="")
    return first if first > known[-1] else None


def _known() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("[0-9]*.py"))


def _runner() -> Runner:
    return Runner(db.obj, directory=str(FOLDER), table_name="migrations")
