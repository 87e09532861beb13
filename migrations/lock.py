"""The upgrade's lock: one process applies migrations at a time."""

import contextlib
import fcntl
import logging
import threading
import time
import uuid
from collections.abc import Iterator

import peewee

from database_errors import DUPLICATE_TABLE, UNIQUE_VIOLATION, sqlstate
from models.base import db
from models.database import create_private_file, is_postgres

LEASE_SECONDS = 30
POLL_SECONDS = 1

# Created before the first migration.
CREATE_LEASE = """
    CREATE TABLE IF NOT EXISTS upgrade_lease (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
        holder TEXT NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL
    )
"""
TAKE_LEASE = """
    INSERT INTO upgrade_lease AS lease (id, holder, expires_at)
    VALUES (1, %s, clock_timestamp() + make_interval(secs => %s))
    ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE lease.holder = excluded.holder OR lease.expires_at < clock_timestamp()
"""

log = logging.getLogger("proofstone.migrations")


@contextlib.contextmanager
def upgrade_lock() -> Iterator[None]:
    """Run the block in one process at a time."""
    with _lease() if is_postgres() else _file_lock():
        yield


@contextlib.contextmanager
def _file_lock() -> Iterator[None]:
    """Lock a file. Creates a missing database, for the first upgrade."""
    create_private_file(db.obj.database)
    path = f"{db.obj.database}.migrate.lock"
    create_private_file(path)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _lease() -> Iterator[None]:
    """Hold a row that expires unless a thread renews it.

    Unlike an advisory lock it needs neither a session, which PgBouncer in transaction mode does not preserve, nor a
    transaction, which would hold the locks of all migrations until the last one.
    """
    holder = str(uuid.uuid4())
    if not _take(holder):
        log.warning("Another process is upgrading the database. Waiting for it.")
        while not _take(holder):
            time.sleep(POLL_SECONDS)
    is_finished = threading.Event()

    def renew() -> None:
        while not is_finished.wait(LEASE_SECONDS / 3):
            with contextlib.suppress(peewee.PeeweeException):
                _take(holder)
            db.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_finished.set()
        thread.join()
        with contextlib.suppress(peewee.PeeweeException):
            db.execute_sql("DELETE FROM upgrade_lease WHERE holder = %s", (holder,))


def _take(holder: str) -> bool:
    """Take the lease, or renew it. Returns False if another process holds it."""
    try:
        db.execute_sql(CREATE_LEASE)
        return bool(db.execute_sql(TAKE_LEASE, (holder, LEASE_SECONDS)).rowcount)
    except peewee.DatabaseError as error:
        # Another process has just created the table.
        if sqlstate(error) in (UNIQUE_VIOLATION, DUPLICATE_TABLE):
            return False
        raise
