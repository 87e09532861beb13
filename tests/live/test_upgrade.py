"""`flask db upgrade` while the service runs (docs/operating.md#upgrade)."""

import shutil
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import peewee
import psycopg2
import pytest

import migrations
import models
from config import VERSION
from migrations import lock
from tests.live.client import Load, run_concurrently
from tests.live.load import Callers
from tests.live.service import ROOT, Service, wait_until

NEXT_RELEASE = Path(__file__).parent / "next_release"
# In the opposite order, an event's request locks its session before the table of events.
TABLES = ("events",) * 9 + ("sessions",)
MIGRATION = '''
"""A migration."""
from migrations import execute
{declaration}
def up(migrator, db):
    execute("{statement}")
'''
ADD_COLUMN = "ALTER TABLE assessments ADD COLUMN remark TEXT"
IS_VALID = """
    SELECT convalidated, indisvalid FROM pg_constraint, pg_index
    WHERE conname = %s AND indexrelid = %s::regclass
"""
# Requests that queue behind a migration wait for one attempt, on a busy machine longer; never for two and the pause.
MAX_STALL_SECONDS = 2 * migrations.LOCK_TIMEOUT_SECONDS + migrations.PAUSE_SECONDS


@pytest.fixture
def url(postgres_server):
    yield postgres_server.create_database("proofstone_upgrade")
    postgres_server.drop_database("proofstone_upgrade")


class NextRelease(Service):
    """This code with further migrations, in a folder of its own."""

    def __init__(self, folder, database_url=None):
        super().__init__(folder, database_url)
        self.code = folder / "code"
        self.migrations = self.code / "migrations"
        shutil.copytree(ROOT, self.code, ignore=shutil.ignore_patterns(".*", "tests", "var", "__pycache__"))


@pytest.fixture
def next_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("next")


@pytest.fixture
def next_release(url, next_folder):
    return NextRelease(next_folder, url)


def write_migration(folder, name, statement, declaration=""):
    (folder / f"{name}.py").write_text(MIGRATION.format(statement=statement, declaration=declaration))


def add_next_migrations(folder):
    shutil.copytree(NEXT_RELEASE, folder, dirs_exist_ok=True)


def test_requests_and_an_upgrade_do_not_deadlock(url, next_release, tmp_path):
    names = [f"{9000 + number}_{table}" for number, table in enumerate(TABLES)]
    for name, table in zip(names, TABLES, strict=True):
        write_migration(next_release.migrations, name, f"ALTER TABLE {table} ADD COLUMN column_{name} TEXT")
    with Service(tmp_path, url).start(processes=2) as service:
        callers = Callers(service)
        with Load([candidate.ingest for candidate in callers.candidates]), Load(callers.calls):
            callers.wait_for_successes()
            output = next_release.flask("db", "upgrade")
            callers.wait_for_successes()
    assert output.split() == names
    assert [exchange.response.text for exchange in callers.rejected] == []


def test_old_and_new_processes_run_side_by_side(url, next_release, tmp_path):
    add_next_migrations(next_release.migrations)
    old, new = Service(tmp_path, url), next_release
    new.settings["BUNDLE_FOLDER"] = old.settings["BUNDLE_FOLDER"]
    with old.start(processes=1), old.worker():
        callers = [Callers(old)]
        with Load(callers[0].calls):
            callers[0].wait_for_successes()
            with new.start(processes=1), new.worker():
                callers.append(Callers(new))
                with Load(callers[1].calls):
                    for group in callers:
                        group.wait_for_successes()
                        group.assert_worker_delivers()
                callers[1].assert_nothing_lost()
        callers[0].assert_nothing_lost()
    assert [exchange.response.text for group in callers for exchange in group.rejected] == []
    assert new.flask("db", "status").count("applied") == len(list(new.migrations.glob("[0-9]*.py")))
    assert new.execute(IS_VALID, "assessments_language", "assessments_language_index") == [(True, True)]
    new.flask("worker", "--once")
    for service in (old, new):
        assert "No differences." in service.flask("ledger", "verify")
        assert "Traceback" not in service.log()


def test_requests_continue_while_an_upgrade_waits_for_a_long_transaction(url, next_release, tmp_path):
    write_migration(next_release.migrations, "9001_change", ADD_COLUMN)
    with Service(tmp_path, url).start(processes=1) as service, closing(service.connect()) as reader:
        callers = Callers(service)
        reader.cursor().execute("SELECT count(*) FROM assessments")
        with Load(callers.calls):
            upgrade = next_release.spawn(["-m", "flask", "db", "upgrade"])
            wait_until(
                lambda: next_release.log().count("waits for its lock") >= 2, "The upgrade did not try again."
            )
            reader.rollback()
            assert upgrade.wait(30) == 0, next_release.log()
            callers.wait_for_successes()
    assert callers.rejected == []
    assert max(end - start for start, end, _ in callers.exchanges) < MAX_STALL_SECONDS


def test_an_upgrade_that_breaks_running_processes_is_rejected(installation, next_folder):
    new = NextRelease(next_folder, installation.database_url)
    write_migration(new.migrations, "9001_change", ADD_COLUMN, 'oldest_version = "999.0.0"')

    def upgrade():
        process = new.spawn(["-m", "flask", "db", "upgrade"])
        return process.wait(30), new.log().splitlines()[-1]

    with installation.start(processes=1) as service, service.worker() as worker:
        tasks = "SELECT DISTINCT process, task = 'web' FROM heartbeats ORDER BY 2"
        wait_until(lambda: len(service.execute(tasks)) == 2, "A process has no heartbeat.")
        (worker_name, _), (web_name, _) = service.execute(tasks)
        assert worker_name.endswith(f":{worker.pid}")
        assert [int(web_name.rpartition(":")[2])] == service.web_processes()
        names = ", ".join(sorted([f"{worker_name} ({VERSION})", f"{web_name} ({VERSION})"]))
        assert upgrade() == (
            1,
            f"Error: 9001_change breaks processes older than 999.0.0: {names}. Nothing was applied."
            " Stop them, and run `flask db upgrade` again 3 minutes later.",
        )
    service.execute("UPDATE heartbeats SET beat_at = %s", service.stored_time(seconds_ago=181))
    assert upgrade() == (0, "9001_change")


# In this process


@pytest.fixture
def add_migration(url, bind, monkeypatch, tmp_path):
    """A function that adds a migration after an upgrade."""
    bind(url)
    migrations.upgrade()
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "FOLDER", folder)
    return partial(write_migration, folder, "9001_change")


def test_a_transaction_that_does_not_end_is_reported(add_migration, url, monkeypatch):
    add_migration(ADD_COLUMN)
    for name, value in [("LOCK_TIMEOUT_SECONDS", 0.1), ("PAUSE_SECONDS", 0.1), ("MAX_ATTEMPTS", 3)]:
        monkeypatch.setattr(migrations, name, value)
    with closing(psycopg2.connect(url)) as reader:
        reader.cursor().execute("SELECT count(*) FROM assessments")
        with pytest.raises(migrations.UpgradeRejected) as rejected:
            migrations.upgrade()
    reason = "9001_change was not applied after 3 attempts: canceling statement due to lock timeout. Earlier"
    assert rejected.value.message.startswith(reason)
    assert migrations.upgrade() == ["9001_change"]


def test_a_lease_is_renewed_during_a_long_migration(add_migration, monkeypatch):
    add_migration("SELECT pg_sleep(5)")
    monkeypatch.setattr(lock, "LEASE_SECONDS", 2)
    assert sorted(run_concurrently([migrations.upgrade] * 2)) == [[], ["9001_change"]]
    assert leases() == []


def test_the_lease_of_a_crashed_process_expires(add_migration):
    add_migration(ADD_COLUMN)
    models.db.execute_sql("INSERT INTO upgrade_lease VALUES (1, 'crashed', now() + interval '2 s')")
    started_at = time.monotonic()
    assert migrations.upgrade() == ["9001_change"]
    assert 1.5 < time.monotonic() - started_at < 10
    assert leases() == []


def leases():
    return models.db.execute_sql("SELECT holder FROM upgrade_lease").fetchall()


def test_an_interrupted_index_is_created_again(url, bind):
    bind(url)
    models.db.execute_sql("CREATE TABLE numbers AS SELECT 1 AS number FROM generate_series(1, 2)")
    create = partial(migrations.create_index, "numbers_unique", "numbers (number)", unique=True)
    with pytest.raises(peewee.IntegrityError):
        create()
    models.db.execute_sql("DELETE FROM numbers")
    create()
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'numbers_unique'::regclass"
    assert models.db.execute_sql(is_valid).fetchall() == [(True,)]


def test_the_next_release_upgrades_an_empty_database(installation, next_folder):
    service = NextRelease(next_folder, installation.database_url)
    add_next_migrations(service.migrations)
    names = [file.stem for file in sorted(service.migrations.glob("[0-9]*.py"))]
    assert service.flask("db", "upgrade").split() == names
    assert service.execute("SELECT language FROM assessments") == []
