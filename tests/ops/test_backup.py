"""Backup and restore on SQLite; tests/live/test_backup.py adds concurrent writers."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing

import click
import pytest

from ops import OperationError
from ops.backup import Installation, back_up, restore
from storage import new_object_key

# The tables that a backup reads.
SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE migrations (name TEXT);
CREATE TABLE organizations (name TEXT);
CREATE TABLE uploads (object_key TEXT);
CREATE TABLE submissions (object_key TEXT);
CREATE TABLE task_files (object_key TEXT);
INSERT INTO submissions VALUES (NULL);
INSERT INTO migrations VALUES ('0001_tables_and_ledger');
"""
SESSION = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def empty(tmp_path):
    """An installation without files."""
    return make_empty(tmp_path / "empty")


@pytest.fixture
def installation(tmp_path):
    return make_installation(tmp_path / "installation")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "proofstone.backup"


@pytest.fixture
def backup(installation, file):
    """Back up the organization Acme and a bundle, then change both; returns the bundle's key."""
    add(installation, "Acme")
    key = upload(installation, b"code")
    back_up(installation, file)
    add(installation, "Later")
    upload(installation, b"overwritten", key)
    upload(installation, b"uploaded later")
    return key


def make_empty(folder):
    folder.mkdir()
    return Installation(folder / "proofstone.db", folder / "bundles")


def make_installation(folder):
    installation = make_empty(folder)
    with connect(installation) as database:
        database.executescript(SCHEMA)
    return installation


def connect(installation):
    return closing(sqlite3.connect(installation.database, isolation_level=None))


def execute(installation, statement, *values):
    with connect(installation) as database:
        return database.execute(statement, values).fetchall()


def add(installation, name):
    execute(installation, "INSERT INTO organizations VALUES (?)", name)


def names(installation):
    return [name for (name,) in execute(installation, "SELECT name FROM organizations ORDER BY rowid")]


def fill(installation, megabytes):
    with connect(installation) as database, database:
        database.execute("BEGIN")
        rows = [("x" * 1000,)] * 1000 * megabytes
        database.executemany("INSERT INTO organizations VALUES (?)", rows)


def upload(installation, content, key=None, table="submissions"):
    """Store a bundle under `key`, or under a new key in the database; returns the key."""
    if key is None:
        key = new_object_key(SESSION)
        execute(installation, f"INSERT INTO {table} VALUES (?)", key)
    installation.bundles.mkdir(exist_ok=True)
    (installation.bundles / key).write_bytes(content)
    return key


def bundles(installation):
    return {path.name: path.read_bytes() for path in installation.bundles.iterdir()}


def temporary_files(folder):
    return [path.name for path in folder.rglob("*.part")]


def test_private_backups_restore_the_installation(installation, empty, file, tmp_path):
    add(installation, "Acme")
    key, task_key = upload(installation, b"code"), upload(installation, b"tests", table="task_files")
    (installation.bundles / upload(installation, b"never arrived", table="uploads")).unlink()
    upload(installation, b"abandoned", key=new_object_key(SESSION))
    (installation.bundles / "notes.txt").write_bytes(b"not a bundle")
    umask = os.umask(0)
    try:
        assert back_up(installation, file) == 2
        assert restore(empty, file) == 2
    finally:
        os.umask(umask)
    assert {file.stat().st_mode & 0o777, empty.database.stat().st_mode & 0o777} == {0o600}
    assert (names(empty), bundles(empty)) == (["Acme"], {key: b"code", task_key: b"tests"})
    assert temporary_files(tmp_path) == []


def test_damaged_databases_are_not_backed_up(installation, file, tmp_path):
    fill(installation, megabytes=1)
    with open(installation.database, "r+b") as database:
        database.seek(40_960)
        database.write(b"\xff" * 8192)
    file.write_bytes(b"last year's")
    with pytest.raises(OperationError, match="damaged"):
        back_up(installation, file, overwrite=True)
    assert file.read_bytes() == b"last year's"
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("INSERT INTO migrations VALUES ('0001_initial')", "from before 1.0.0"),
        (
            "INSERT INTO migrations VALUES ('9999_later')",
            "newer version of Proofstone: it contains 9999_later",
        ),
    ],
)
def test_incompatible_databases_are_not_restored(installation, empty, file, change, reason):
    execute(installation, change)
    back_up(installation, file)
    with pytest.raises(click.ClickException, match=reason):
        restore(empty, file)


def test_other_databases_are_not_backed_up(installation, file):
    execute(installation, "DROP TABLE organizations")
    with pytest.raises(OperationError, match="not a Proofstone database"):
        back_up(installation, file)


def test_bundles_that_only_the_backup_lacks_are_kept(installation, file):
    key = upload(installation, b"code")
    (installation.bundles / key).rename(installation.bundles / "elsewhere")
    back_up(installation, file)
    (installation.bundles / "elsewhere").rename(installation.bundles / key)
    assert restore(installation, file, overwrite=True) == 0
    assert bundles(installation) == {key: b"code"}


def test_missing_databases_are_rejected(empty, file):
    with pytest.raises(OperationError, match="No such database"):
        back_up(empty, file)
    assert not empty.database.exists()


def test_bundles_in_an_object_store_are_not_backed_up(installation, empty, file):
    add(installation, "Acme")
    upload(installation, b"code")
    assert back_up(installation._replace(bundles=None), file) == 0
    assert restore(empty, file) is None
    assert names(empty) == ["Acme"]
    assert not empty.bundles.exists()


def test_existing_data_is_only_replaced_with_overwrite(installation, file, backup):
    with pytest.raises(OperationError, match="--overwrite"):
        restore(installation, file)
    assert names(installation) == ["Acme", "Later"]
    (installation.bundles / "notes.txt").write_bytes(b"not a bundle")
    restore(installation, file, overwrite=True)
    assert names(installation) == ["Acme"]
    assert bundles(installation) == {backup: b"code", "notes.txt": b"not a bundle"}


def test_other_programs_tables_are_data_but_the_empty_schema_is_not(empty, file, backup, tmp_path):
    execute(empty, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(OperationError, match="--overwrite"):
        restore(empty, file)
    new = make_installation(tmp_path / "new")
    restore(new, file)
    assert names(new) == ["Acme"]


def test_open_databases_are_not_replaced(installation, file, backup):
    with connect(installation) as other:
        other.execute("SELECT * FROM organizations").fetchall()
        with pytest.raises(OperationError, match="Another process uses"):
            restore(installation, file, overwrite=True)
    assert names(installation) == ["Acme", "Later"]
    restore(installation, file, overwrite=True)


def test_bundles_cannot_be_restored_to_an_object_store(empty, file, backup):
    with pytest.raises(OperationError, match="S3_BUCKET"):
        restore(empty._replace(bundles=None), file)
    assert not empty.database.exists()


def drop_last_member(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return content[: tar.getmembers()[-1].offset]


DAMAGES = {
    "empty": lambda content: b"",
    "no tar": lambda content: b"no tar" * 999,
    "truncated": lambda content: content[: len(content) // 2],
    "no manifest": drop_last_member,
    # SQLite does not detect this change.
    "changed row": lambda content: content.replace(b"Acme", b"Acne"),
    "path out of the folder": lambda content: content.replace(b"bundles/1", b"../dles/1"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_backups_are_rejected_without_changes(installation, file, backup, damage):
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert file.read_bytes() != content
    before = bundles(installation)
    with pytest.raises(OperationError):
        restore(installation, file, overwrite=True)
    assert (names(installation), bundles(installation)) == (["Acme", "Later"], before)
    assert temporary_files(installation.database.parent) == []


def test_unreadable_databases_must_be_moved_away(installation, file, backup):
    installation.database.write_bytes(b"no database" * 1000)
    with pytest.raises(OperationError, match="Move it away"):
        restore(installation, file, overwrite=True)
    installation.database.unlink()
    restore(installation, file)
    assert names(installation) == ["Acme"]


# Restore, but kill the process before a file operation, by number.
RESTORE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ops import backup

folder, file, number = sys.argv[1:]
remaining = iter(range(int(number)))

def hook(event, arguments):
    if event in ("open", "os.rename", "os.remove", "sqlite3.connect") and next(remaining, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
backup.restore(backup.Installation(Path(folder, "proofstone.db"), Path(folder, "bundles")), Path(file), True)
"""


@pytest.mark.slow
def test_interrupted_restores_leave_the_old_or_the_new_state(installation, file, backup):
    states, number, status = set(), 0, None
    while status != 0:
        before = bundles(installation)
        command = [sys.executable, "-c", RESTORE_AND_DIE, installation.database.parent, file, str(number)]
        status = subprocess.run(command, check=False).returncode
        assert execute(installation, "PRAGMA integrity_check") == [("ok",)]
        states.add(tuple(names(installation)))
        if names(installation) == ["Acme", "Later"]:
            assert before.items() <= bundles(installation).items()
        number += 1
    assert states == {("Acme", "Later"), ("Acme",)}
    stored = {name: content for name, content in bundles(installation).items() if name.endswith(".tar.gz")}
    assert stored == {backup: b"code"}


# Restore, but let the system kill the process once the copy has written 5 MB.
RESTORE_AND_DIE_COPYING = """
import functools, resource, signal, sqlite3, sys
from pathlib import Path
from ops import backup

folder, file = sys.argv[1:]

class Connection(sqlite3.Connection):
    def backup(self, target):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
        super().backup(target)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
backup.restore(backup.Installation(Path(folder, "proofstone.db"), Path(folder, "bundles")), Path(file), True)
"""


@pytest.mark.slow
def test_restores_interrupted_while_copying_leave_the_old_state(installation, file, tmp_path):
    fill(installation, megabytes=30)
    back_up(installation, file)
    target = make_installation(tmp_path / "target")
    add(target, "Old")
    log = target.database.with_name("proofstone.db-wal")
    command = [sys.executable, "-c", RESTORE_AND_DIE_COPYING, target.database.parent, file]
    assert subprocess.run(command, check=False).returncode == -signal.SIGXFSZ
    assert log.stat().st_size > 4_000_000
    assert names(target) == ["Old"]
    restore(target, file, overwrite=True)
    assert names(target) == names(installation)


def test_ledger_keys_are_not_backed_up(installation, file):
    key_file = installation.database.with_name(f"{installation.database.name}.ledger-keys")
    key_file.write_text("id:a-secret-that-must-stay-on-this-machine")
    back_up(installation, file)
    assert b"must-stay-on-this-machine" not in file.read_bytes()
    restore(installation, file, overwrite=True)
    assert key_file.exists()
