"""A backup of an installation on SQLite: taken while others write, whole, and restored as a whole (docs/backup.md)."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from contextlib import closing

import pytest

from ops.backup import Installation, Refused, back_up, restore
from storage import new_object_key

SCHEMA = """
CREATE TABLE migrations (name TEXT);
CREATE TABLE organizations (name TEXT);
CREATE TABLE uploads (object_key TEXT);
INSERT INTO migrations VALUES ('0001_initial');
"""
SESSION = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def here(tmp_path):
    """A small installation, with the tables that a backup looks at."""
    return made(tmp_path / "here")


@pytest.fixture
def elsewhere(tmp_path):
    """The place of another installation, where nothing is yet."""
    return place(tmp_path / "elsewhere")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "proofstone.backup"


def place(folder):
    folder.mkdir()
    return Installation(folder / "proofstone.db", folder / "bundles")


def made(folder):
    installation = place(folder)
    with opened(installation) as database:
        database.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    return installation


def opened(installation):
    return closing(sqlite3.connect(installation.database, isolation_level=None))


def add(installation, name):
    with opened(installation) as database:
        database.execute("INSERT INTO organizations VALUES (?)", [name])


def names(installation):
    with opened(installation) as database:
        return [name for (name,) in database.execute("SELECT name FROM organizations ORDER BY rowid")]


def put(installation, content, key=None):
    """Upload a bundle, to a place of its own or once more to that of `key`; returns the key."""
    if key is None:
        key = new_object_key(SESSION)
        with opened(installation) as database:
            database.execute("INSERT INTO uploads VALUES (?)", [key])
    installation.bundles.mkdir(exist_ok=True)
    (installation.bundles / key).write_bytes(content)
    return key


def bundles(installation):
    return {path.name: path.read_bytes() for path in installation.bundles.iterdir()}


def leftovers(folder):
    return [path.name for path in folder.rglob("*.part")]


# Backing up


def test_what_is_restored_elsewhere_is_what_was_backed_up(here, elsewhere, file):
    add(here, "Acme")
    key = put(here, b"code")
    assert back_up(here, file) == 1
    assert restore(elsewhere, file) == 1
    assert (names(elsewhere), bundles(elsewhere)) == (["Acme"], {key: b"code"})


def test_everything_acknowledged_before_a_backup_is_in_it_while_others_go_on_writing(here, elsewhere, file):
    with Writer(here) as writer:
        for _ in range(5):
            before = writer.wait_for_more()
            back_up(here, file, overwrite=True)
            writer.wait_for_more()
            restore(elsewhere, file, overwrite=True)
            found = names(elsewhere)
            assert found == [str(number) for number in range(len(found))]
            assert len(found) >= before
    assert len(names(here)) == writer.acknowledged


class Writer:
    """Adds one organization after the other from a thread of its own; counts those that were committed."""

    def __init__(self, installation):
        self.installation = installation
        self.acknowledged = 0
        self._more = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._write)

    def wait_for_more(self):
        with self._more:
            wanted = self.acknowledged + 20
            assert self._more.wait_for(lambda: self.acknowledged >= wanted, timeout=60)
            return self.acknowledged

    def _write(self):
        with opened(self.installation) as database:
            while not self._stopped:
                database.execute("INSERT INTO organizations VALUES (?)", [str(self.acknowledged)])
                with self._more:
                    self.acknowledged += 1
                    self._more.notify_all()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stopped = True
        self._thread.join()


def test_only_its_owner_may_read_a_backup_and_nothing_else_is_left(here, file, tmp_path):
    before = os.umask(0)
    try:
        back_up(here, file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert leftovers(tmp_path) == []


def test_a_backup_that_is_there_stays_unless_it_may_be_overwritten(here, file):
    file.write_bytes(b"last year's")
    with pytest.raises(Refused, match="--overwrite"):
        back_up(here, file)
    assert file.read_bytes() == b"last year's"
    back_up(here, file, overwrite=True)
    assert tarfile.is_tarfile(file)


def test_a_damaged_database_is_not_taken_for_a_backup(here, file, tmp_path):
    fill(here, megabytes=1)
    damage(here.database)
    file.write_bytes(b"last year's")
    with pytest.raises(Refused, match="damaged"):
        back_up(here, file, overwrite=True)
    assert file.read_bytes() == b"last year's"
    assert leftovers(tmp_path) == []


def fill(installation, megabytes):
    with opened(installation) as database, database:
        database.execute("BEGIN")
        rows = [("x" * 1000,)] * 1000 * megabytes
        database.executemany("INSERT INTO organizations VALUES (?)", rows)


def damage(database):
    with open(database, "r+b") as file:
        file.seek(40_960)
        file.write(b"\xff" * 8192)


def test_bundles_that_the_database_does_not_know_are_left_out(here, elsewhere, file):
    key = put(here, b"code")
    put(here, b"an upload that was let go", key=new_object_key(SESSION))
    (here.bundles / "notes.txt").write_bytes(b"somebody else's")
    assert back_up(here, file) == 1
    restore(elsewhere, file)
    assert bundles(elsewhere) == {key: b"code"}


def test_a_place_that_was_never_used_is_no_bundle(here, file):
    (here.bundles / put(here, b"")).unlink()
    assert back_up(here, file) == 0


def test_without_a_folder_the_database_alone_is_backed_up(here, elsewhere, file):
    add(here, "Acme")
    put(here, b"code")
    assert back_up(here._replace(bundles=None), file) == 0
    assert restore(elsewhere, file) == 0
    assert names(elsewhere) == ["Acme"]
    assert not elsewhere.bundles.exists()


def test_where_there_is_no_database_there_is_no_backup(elsewhere, file):
    with pytest.raises(Refused, match="no database"):
        back_up(elsewhere, file)
    assert not elsewhere.database.exists()


# Restoring


@pytest.fixture
def backup(here, file):
    """A backup with the organization Acme and one bundle; both have changed since."""
    add(here, "Acme")
    key = put(here, b"code")
    back_up(here, file)
    add(here, "Later")
    put(here, b"overwritten", key)
    put(here, b"uploaded later")
    return file, key


def test_data_stays_unless_it_may_be_overwritten(here, backup):
    file, key = backup
    with pytest.raises(Refused, match="--overwrite"):
        restore(here, file)
    assert names(here) == ["Acme", "Later"]
    restore(here, file, overwrite=True)
    assert (names(here), bundles(here)) == (["Acme"], {key: b"code"})


def test_a_database_without_an_organization_is_no_data(backup, tmp_path):
    fresh = made(tmp_path / "fresh")
    restore(fresh, backup[0])
    assert names(fresh) == ["Acme"]


def test_tables_of_another_program_are_data(elsewhere, backup):
    with opened(elsewhere) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(Refused, match="--overwrite"):
        restore(elsewhere, backup[0])


def test_files_in_the_folder_that_are_no_bundles_stay(here, backup):
    (here.bundles / "notes.txt").write_bytes(b"somebody else's")
    restore(here, backup[0], overwrite=True)
    assert bundles(here)["notes.txt"] == b"somebody else's"


def test_nothing_is_restored_while_somebody_has_the_database_open(here, backup):
    with opened(here) as somebody:
        somebody.execute("SELECT * FROM organizations").fetchall()
        with pytest.raises(Refused, match="Another process uses"):
            restore(here, backup[0], overwrite=True)
    assert names(here) == ["Acme", "Later"]
    restore(here, backup[0], overwrite=True)


def test_a_backup_of_a_folder_is_not_restored_where_a_store_has_the_bundles(elsewhere, backup):
    with pytest.raises(Refused, match="S3_BUCKET"):
        restore(elsewhere._replace(bundles=None), backup[0])
    assert not elsewhere.database.exists()


def cut(content):
    return content[: len(content) // 2]


def cut_at_a_member(content):
    """Whole members, but the last one and the end of the tar are gone."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return content[: tar.getmembers()[-1].offset]


def flip(content):
    """One bit of a row is another one, which SQLite cannot notice."""
    assert content.count(b"Acme") == 1
    return content.replace(b"Acme", b"Acne")


def with_a_strange_name(content):
    name = next(name for name in names_in(content) if name.startswith("bundles/"))
    return content.replace(name.encode(), b"../" + name.encode()[3:])


def names_in(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getnames()


DAMAGES = [
    cut,
    cut_at_a_member,
    flip,
    with_a_strange_name,
    lambda content: b"",
    lambda content: b"no tar" * 999,
]


@pytest.mark.parametrize("damaged", DAMAGES)
def test_a_damaged_file_is_refused_and_nothing_is_changed(here, backup, damaged):
    file, _ = backup
    file.write_bytes(damaged(file.read_bytes()))
    before = bundles(here)
    with pytest.raises(Refused):
        restore(here, file, overwrite=True)
    assert (names(here), bundles(here)) == (["Acme", "Later"], before)
    assert leftovers(here.database.parent) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("INSERT INTO migrations VALUES ('9999_later')", "newer version of Proofstone: it has 9999_later"),
        ("DROP TABLE organizations", "not one of Proofstone"),
    ],
)
def test_a_database_that_this_version_cannot_use_is_neither_backed_up_nor_restored(
    here, file, change, reason
):
    with opened(here) as database:
        database.execute(change)
    with pytest.raises(Refused, match=reason):
        back_up(here, file)


def test_a_database_that_cannot_be_opened_has_to_be_moved_away_first(here, backup):
    here.database.write_bytes(b"no database" * 1000)
    with pytest.raises(Refused, match="move it away"):
        restore(here, backup[0], overwrite=True)
    here.database.unlink()
    restore(here, backup[0])
    assert names(here) == ["Acme"]


KILLED = """
import os, signal, sys
from pathlib import Path
from ops import backup

def kill_at(number):
    calls = iter(range(number))
    def hook(event, arguments):
        if event in ("open", "os.rename", "os.remove", "sqlite3.connect") and next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

folder, file, number = sys.argv[1:]
kill_at(int(number))
backup.restore(backup.Installation(Path(folder, "proofstone.db"), Path(folder, "bundles")), Path(file), True)
"""


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_step_leaves_the_old_or_the_new_and_can_be_done_again(here, backup):
    file, key = backup
    found, number, status = set(), 0, None
    while status != 0:
        before = bundles(here)
        command = [sys.executable, "-c", KILLED, here.database.parent, file, str(number)]
        status = subprocess.run(command, check=False).returncode
        with opened(here) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found.add(tuple(names(here)))
        if names(here) == ["Acme", "Later"]:
            assert {name: content for name, content in bundles(here).items() if name in before} == before
        number += 1
    assert found == {("Acme", "Later"), ("Acme",)}
    assert {name: it for name, it in bundles(here).items() if name.endswith(".tar.gz")} == {key: b"code"}


@pytest.mark.slow
def test_a_restore_that_is_killed_while_it_copies_leaves_the_old(here, file, tmp_path):
    fill(here, megabytes=30)
    back_up(here, file)
    there = made(tmp_path / "there")
    add(there, "Old")
    log = there.database.with_name("proofstone.db-wal")
    command = [sys.executable, "-c", KILLED, there.database.parent, file, "999"]
    with subprocess.Popen(command) as process:
        while not log.exists() or log.stat().st_size < 5_000_000:
            assert process.poll() is None
        process.kill()
    assert names(there) == ["Old"]
    restore(there, file, overwrite=True)
    assert names(there) == names(here)
