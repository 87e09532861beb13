"""A backup of an installation on SQLite: one file with its database and the bundles of its folder (docs/backup.md).

The file is a tar: `database.sqlite3`, `bundles/<object key>` for each bundle that this database knows, and at its end
`manifest.json`, without which it is not whole. Where a store has the bundles the store is backed up by its own means.
"""

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import migrations
from models import clock, db
from models.base import is_postgres
from rules.timestamps import format_timestamp
from storage import FolderStorage, Storage, is_object_key

DATABASE = "database.sqlite3"
BUNDLES = "bundles/"
MANIFEST = "manifest.json"
FORMAT = 1
IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Refused(Exception):
    """Why there is no backup, or nothing was restored: a sentence."""


class Installation(NamedTuple):
    """What a backup is of: the database's file, and the folder of bundles, None where they lie in a store."""

    database: Path
    bundles: Path | None


def installation(storage: Storage) -> Installation:
    """The one that the settings name; Refused on PostgreSQL, which has tools of its own."""
    if is_postgres():
        raise Refused(
            "This is for SQLite. On PostgreSQL use pg_dump and pg_restore, as docs/backup.md shows."
        )
    return Installation(Path(db.obj.database), storage.folder if isinstance(storage, FolderStorage) else None)


def back_up(source: Installation, file: Path, overwrite: bool = False) -> int:
    """Write `file`, while others work; returns the number of bundles in it. It is there as a whole or not at all.

    Everything that was answered before the call is in it.
    """
    if file.exists() and not overwrite:
        raise Refused(f"{file} is there already; `--overwrite` replaces it.")
    if not source.database.exists():
        raise Refused(f"There is no database {source.database}.")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{file.name}.", suffix=".part") as folder:
        snapshot, whole = Path(folder, DATABASE), Path(folder, "whole.tar")
        _take_snapshot(source.database, snapshot)
        _check(snapshot)
        bundles = _pack(snapshot, source.bundles, whole)
        os.replace(whole, file)
    _sync_folder(file.parent)
    return bundles


def restore(target: Installation, file: Path, overwrite: bool = False) -> int:
    """Put what `file` holds in the place of what is there; returns the number of bundles. Nobody may be at work.

    The database is the former one or that of the file at every moment, with the bundles that it knows: missing ones
    come before it, and what it does not know goes after it. Doing it again finishes what was killed in between.
    """
    with _opened(file) as (tar, manifest, bundles):
        if bundles and target.bundles is None:
            raise Refused("The backup holds bundles of a folder; unset S3_BUCKET to restore it.")
        with _alone(target.database) as connection:
            if not overwrite and _has_data(connection):
                raise Refused(f"{target.database} holds data already; `--overwrite` replaces all of it.")
            _bring(tar, (it for it in bundles if not _place(target, it).exists()), target)
            _replace_database(tar, manifest, target.database, connection)
            if manifest["bundlesInFolder"] and target.bundles is not None:
                _bring(tar, (it for it in bundles if not _is_same(tar, it, _place(target, it))), target)
                _remove_others(target.bundles, {_place(target, it).name for it in bundles})
    return len(bundles)


# Backing up


def _take_snapshot(database: Path, snapshot: Path) -> None:
    """A copy as of one moment, by SQLite's own backup. In one step, since a write begins one of many steps anew; in WAL
    mode no writer waits for it."""
    with closing(_connect(database, "rw")) as here, closing(sqlite3.connect(snapshot)) as there:
        here.backup(there)
        # One file, without a log beside it.
        there.execute("PRAGMA journal_mode=DELETE")


def _pack(snapshot: Path, folder: Path | None, whole: Path) -> int:
    with open(whole, "xb", opener=_private) as file:
        with tarfile.open(fileobj=file, mode="w") as tar, snapshot.open("rb") as database:
            digest = _digest(database)
            database.seek(0)
            _add(tar, DATABASE, database)
            count = sum(_add_bundle(tar, folder, key) for key in _object_keys(snapshot)) if folder else 0
            _add_manifest(tar, {"sha256": digest, "bundles": count, "bundlesInFolder": folder is not None})
        file.flush()
        os.fsync(file.fileno())
    return count


def _object_keys(snapshot: Path) -> list[str]:
    # What the snapshot does not know would lie in a restored folder for ever: nothing would ever erase it.
    with closing(_connect(snapshot, "ro")) as connection:
        return [key for (key,) in connection.execute("SELECT object_key FROM uploads ORDER BY object_key")]


def _add_bundle(tar: tarfile.TarFile, folder: Path, key: str) -> bool:
    """Whether it was there: many places are never used, and an erasure may have come since the snapshot."""
    try:
        with (folder / key).open("rb") as bundle:
            _add(tar, BUNDLES + key, bundle)
    except FileNotFoundError:
        return False
    return True


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = os.fstat(file.fileno()).st_size
    entry.mode, entry.mtime = 0o600, int(clock.now().timestamp())
    tar.addfile(entry, file)


def _add_manifest(tar: tarfile.TarFile, facts: dict[str, Any]) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(
            json.dumps({"format": FORMAT, "createdAt": format_timestamp(clock.now()), **facts}).encode()
        )
        file.seek(0)
        _add(tar, MANIFEST, file)


# Restoring


@contextmanager
def _opened(file: Path) -> Iterator[tuple[tarfile.TarFile, dict[str, Any], list[tarfile.TarInfo]]]:
    """The tar, its manifest and its bundles, once it is known to be whole."""
    try:
        with tarfile.open(file, "r:") as tar:
            database, bundles, last = _parts(tar)
            if database != DATABASE or last != MANIFEST:
                raise Refused(f"{file} is not a backup of Proofstone, or not a whole one.")
            yield tar, _manifest(tar, len(bundles)), bundles
    except tarfile.TarError as error:
        raise Refused(f"{file} is not a whole backup: {error}.") from None


def _parts(tar: tarfile.TarFile) -> tuple[str, list[tarfile.TarInfo], str]:
    """The first name, the bundles between, the last name."""
    members = tar.getmembers()
    for member in members[1:-1]:
        if not member.isreg() or not is_object_key(member.name.removeprefix(BUNDLES)):
            raise Refused(f"The file is not a backup of Proofstone: it holds {member.name}.")
    return members[0].name, members[1:-1], members[-1].name


def _manifest(tar: tarfile.TarFile, bundles: int) -> dict[str, Any]:
    with _reader(tar, tar.getmember(MANIFEST)) as file:
        manifest = json.load(file)
    if manifest["format"] != FORMAT:
        raise Refused("The backup was made by a newer version of Proofstone; restore it with that one.")
    if manifest["bundles"] != bundles:
        raise Refused("The file is not a whole backup: bundles are missing.")
    return manifest


@contextmanager
def _alone(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection with nobody else at the database until its end.

    SQLite itself knows whether there is somebody: each open connection of web processes and workers holds a shared
    lock of its file, also while nothing is asked. Who comes later waits, and finds what was restored.
    """
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise Refused(_why_not(database, error)) from None
        yield connection


def _why_not(database: Path, error: sqlite3.DatabaseError) -> str:
    if error.sqlite_errorcode & 0xFF in IN_USE:
        return f"Another process uses {database}: stop the web process and the worker first."
    return (
        f"{database} cannot be opened ({error}); move it away, with the files {database.name}-wal and -shm."
    )


def _has_data(connection: sqlite3.Connection) -> bool:
    """Whether somebody would miss it: an organization, or the tables of another program."""
    tables = _tables(connection)
    if "organizations" not in tables:
        return bool(tables)
    return connection.execute("SELECT 1 FROM organizations LIMIT 1").fetchone() is not None


def _replace_database(
    tar: tarfile.TarFile, manifest: dict[str, Any], database: Path, connection: sqlite3.Connection
) -> None:
    """Check the database of the file and copy it over the one that is open: one transaction of SQLite's own."""
    with tempfile.TemporaryDirectory(
        dir=database.parent, prefix=f"{database.name}.", suffix=".part"
    ) as folder:
        unpacked = Path(folder, DATABASE)
        _unpack(tar, tar.getmember(DATABASE), unpacked)
        with unpacked.open("rb") as file:
            if _digest(file) != manifest["sha256"]:
                raise Refused("The database in the backup is damaged: its SHA-256 is another one.")
        _check(unpacked)
        with closing(_connect(unpacked, "ro")) as source:
            source.backup(connection)


def _bring(tar: tarfile.TarFile, bundles: Iterable[tarfile.TarInfo], target: Installation) -> None:
    for bundle in bundles:
        place = _place(target, bundle)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Named as an upload that broke off: what a killed restore leaves goes as that does.
        part = place.with_name(f"{place.name}.{secrets.token_hex(8)}.part")
        try:
            _unpack(tar, bundle, part)
            os.replace(part, place)
        finally:
            part.unlink(missing_ok=True)
    if target.bundles is not None and target.bundles.exists():
        _sync_folder(target.bundles)


def _remove_others(folder: Path, kept: set[str]) -> None:
    if folder.exists():
        for path in folder.iterdir():
            if is_object_key(path.name) and path.name not in kept:
                path.unlink()


def _is_same(tar: tarfile.TarFile, bundle: tarfile.TarInfo, place: Path) -> bool:
    with suppress(FileNotFoundError), place.open("rb") as there, _reader(tar, bundle) as here:
        return _digest(there) == _digest(here)
    return False


def _digest(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    with _reader(tar, member) as source, open(path, "xb", opener=_private) as file:
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())


def _place(target: Installation, bundle: tarfile.TarInfo) -> Path:
    assert target.bundles is not None
    return target.bundles / bundle.name.removeprefix(BUNDLES)


def _reader(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    reader = tar.extractfile(member)
    assert reader is not None
    return reader


# Both


def _check(database: Path) -> None:
    """Refused unless the file is a whole database of Proofstone, and not of a newer version."""
    with closing(_connect(database, "ro")) as connection:
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            tables = _tables(connection)
        except sqlite3.DatabaseError as error:
            verdict, tables = str(error), set()
        if verdict != "ok":
            raise Refused(f"The database is damaged: {verdict}.")
        if not tables >= {"migrations", "organizations"}:
            raise Refused("The database is not one of Proofstone.")
        applied = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    if unknown := applied - {file.stem for file in migrations.FOLDER.glob("[0-9]*.py")}:
        raise Refused(f"The database is of a newer version of Proofstone: it has {min(unknown)}.")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _connect(database: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode={mode}", uri=True)


def _private(path: str, flags: int) -> int:
    # Keys lie in it as text, and so do secrets of webhooks.
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk once its folder is."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
