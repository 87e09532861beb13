"""Back up and restore an installation on SQLite: its database and its bundle folder (docs/backup.md).

Bundles in an object store are not included.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import migrations
from models import db
from models.base import is_postgres
from models.database import create_private_file
from ops import OperationError
from ops.backup_archive import Archive, open_archive, write_archive
from storage import FolderStorage, Storage, is_object_key
from storage.atomic_file import atomic_file


class Installation(NamedTuple):
    """An installation's database file and bundle folder; the folder is None with an object store."""

    database: Path
    bundles: Path | None


def get_installation(storage: Storage) -> Installation:
    """Return the configured installation. Raises OperationError on PostgreSQL."""
    if is_postgres():
        raise OperationError("SQLite only. On PostgreSQL, use pg_dump and pg_restore (docs/backup.md).")
    return Installation(Path(db.obj.database), storage.folder if isinstance(storage, FolderStorage) else None)


@contextmanager
def _convert_errors() -> Iterator[None]:
    """Convert disk and SQLite errors to OperationError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise OperationError(str(error)) from None


@_convert_errors()
def back_up(source: Installation, file: Path, overwrite: bool = False) -> int:
    """Write a backup while the service runs. Returns the number of bundles in it.

    Includes every write acknowledged before the call. `file` appears only once it is complete.
    """
    if file.exists() and not overwrite:
        raise OperationError(f"{file} already exists. Use `--overwrite` to replace it.")
    if not file.parent.is_dir():
        raise OperationError(f"The folder {file.parent} does not exist.")
    if not source.database.exists():
        raise OperationError(f"No such database: {source.database}. Check DATABASE_URL.")
    with _temporary_folder(file) as folder, atomic_file(file) as archive:
        snapshot = Path(folder, "snapshot")
        _copy_database(source.database, snapshot)
        _check_database(snapshot)
        count = write_archive(archive, snapshot, _list_bundles(snapshot, source.bundles))
    _sync_folder(file.parent)
    return count


def _copy_database(database: Path, snapshot: Path) -> None:
    """Copy the database with SQLite's backup API, in one step: concurrent writes restart a backup in several steps."""
    with closing(_connect(database, "rw")) as source, closing(sqlite3.connect(snapshot)) as target:
        source.backup(target)
        # A single file, without a write-ahead log.
        target.execute("PRAGMA journal_mode=DELETE")


def _list_bundles(snapshot: Path, folder: Path | None) -> list[Path] | None:
    """List the bundles that the database refers to."""
    if folder is None:
        return None
    with closing(_connect(snapshot, "ro")) as connection:
        return [folder / key for key in _object_keys(connection)]


def _object_keys(connection: sqlite3.Connection) -> list[str]:
    keys = connection.execute(
        "SELECT object_key FROM uploads UNION SELECT object_key FROM submissions WHERE object_key IS NOT NULL "
        "UNION SELECT object_key FROM task_files ORDER BY object_key"
    )
    return [key for (key,) in keys]


@_convert_errors()
def restore(target: Installation, file: Path, overwrite: bool = False) -> int | None:
    """Replace an installation's files with those in a backup.

    Returns the number of bundles; None if the backup is from an installation with an object store.

    No other process can use the database. An interrupted restore leaves the old or the restored database with its
    bundles: missing bundles are added before the database is replaced, and unknown bundles are deleted afterwards.
    Running it again completes it.
    """
    with open_archive(file) as archive:
        if archive.bundles and target.bundles is None:
            raise OperationError("The backup contains bundles from a folder. Unset S3_BUCKET to restore it.")
        with _exclusive_connection(target.database) as connection:
            if not overwrite and _has_data(connection):
                raise OperationError(f"{target.database} contains data. Use `--overwrite` to replace it.")
            folder = target.bundles or Path()
            _extract_bundles(archive, folder, [key for key in archive.bundles if not (folder / key).exists()])
            _replace_database(archive, target.database, connection)
            if archive.manifest["bundlesInFolder"] and target.bundles:
                changed_keys = [
                    key for key in archive.bundles if not archive.has_same_bundle(key, folder / key)
                ]
                _extract_bundles(archive, folder, changed_keys)
                # The folder can have bundles that the backup lacks.
                known_keys = {*archive.bundles, *_object_keys(connection)}
                for path in folder.glob("*"):
                    if is_object_key(path.name) and path.name not in known_keys:
                        path.unlink()
        return len(archive.bundles) if archive.manifest["bundlesInFolder"] else None


@contextmanager
def _exclusive_connection(database: Path) -> Iterator[sqlite3.Connection]:
    """Connect with an exclusive lock, which blocks processes that start later.

    Every open connection of a web process or worker has a shared lock, even when idle. The exclusive lock is therefore
    granted only when no process runs.
    """
    create_private_file(database)
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            message = f"Cannot open {database} ({error}). Move it away, with its -wal and -shm files."
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                message = f"Another process uses {database}. Stop the web process and the worker first."
            raise OperationError(message) from None
        yield connection


def _has_data(connection: sqlite3.Connection) -> bool:
    """Return whether the database contains an organization, or tables of another program."""
    tables = _table_names(connection)
    if "organizations" in tables:
        return bool(connection.execute("SELECT 1 FROM organizations LIMIT 1").fetchone())
    return bool(tables)


def _replace_database(archive: Archive, database: Path, connection: sqlite3.Connection) -> None:
    """Check the archived database and copy it over the open database in one transaction."""
    with _temporary_folder(database) as folder:
        extracted = Path(folder, "database")
        archive.extract_database(extracted)
        migrations.check_history(_check_database(extracted))
        with closing(_connect(extracted, "ro")) as source:
            source.backup(connection)


def _extract_bundles(archive: Archive, folder: Path, keys: list[str]) -> None:
    for key in keys:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_file(folder / key) as file:
            archive.extract_bundle(key, file)
    if keys:
        _sync_folder(folder)


def _check_database(database: Path) -> set[str]:
    """Raise OperationError unless the database is intact. Returns its migrations."""
    with closing(_connect(database, "ro")) as connection:
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            verdict = error
        if verdict != "ok":
            raise OperationError(f"The database is damaged: {verdict}.")
        if not _table_names(connection) >= {"migrations", "organizations"}:
            raise OperationError("The database is not a Proofstone database.")
        return {name for (name,) in connection.execute("SELECT name FROM migrations")}


def _table_names(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _connect(database: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode={mode}", uri=True)


def _temporary_folder(file: Path) -> tempfile.TemporaryDirectory[str]:
    """Create a temporary folder on the file's disk."""
    return tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{file.name}.", suffix=".part")


def _sync_folder(folder: Path) -> None:
    """Make renames in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
