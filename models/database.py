"""Connections, transactions and locks on PostgreSQL and SQLite."""

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import peewee
import psycopg2
import psycopg2.extensions
import psycopg2.extras
from playhouse.db_url import parse as parse_url
from playhouse.pool import PooledDatabase, PooledPostgresqlDatabase, PooledSqliteDatabase

import database_errors
from rules.setting_urls import database_name
from rules.timestamps import MALFORMED_TIME

LOCK_TIMEOUT_SECONDS = 5
RECONNECT_TIMEOUT_SECONDS = 5
# While a checkpoint waits for readers, it blocks all writers.
CHECKPOINT_TIMEOUT_MS = 100
# Unused connections go back to the server this often, for other processes.
IDLE_SECONDS = 2
# Connections opened before a failover are closed instead of reused.
FAILOVER_SECONDS = 60

# peewee's class is generic to type checkers only.
Query: TypeAlias = "peewee.ModelSelect[Any]"

db = peewee.DatabaseProxy()


class CountedPool(PooledDatabase):
    """Counts the connections in use, by thread; peewee's pool has no public count."""

    def __init__(self, *args: Any, **options: Any):
        self._connected_threads: set[int] = set()
        super().__init__(*args, **options)

    @property
    def connections_in_use(self) -> int:
        return len(self._connected_threads)

    def connect(self, reuse_if_open: bool = False) -> bool:
        opened = super().connect(reuse_if_open)
        self._connected_threads.add(threading.get_ident())
        return opened

    def close(self) -> bool:
        closed = super().close()
        self._connected_threads.discard(threading.get_ident())
        return closed


def _cast_time(text: str | None, cursor: Any) -> Any:
    """Parse a timestamp. PostgreSQL supports years that Python does not."""
    try:
        return psycopg2.extensions.PYDATETIMETZ(text, cursor)
    except (ValueError, OverflowError):
        return MALFORMED_TIME


def _parse_json(text: str) -> Any:
    """Parse JSON. Returns None if it is nested too deeply for Python; the service never writes such values."""
    try:
        return json.loads(text)
    except RecursionError:
        return None


_TIMESTAMPTZ = psycopg2.extensions.new_type((1184,), "TIMESTAMPTZ", _cast_time)
psycopg2.extensions.register_type(_TIMESTAMPTZ)
psycopg2.extras.register_default_json(loads=_parse_json, globally=True)
psycopg2.extras.register_default_jsonb(loads=_parse_json, globally=True)


class PreparingConnection(psycopg2.extensions.connection):
    """A connection with the commands that run its prepared statements (models/sql.py).

    Raises OperationalError if the database's encoding is not UTF8.

    is_outdated -- whether a migration changed the type of a column that one of them returns
    """

    is_outdated = False

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.commands: dict[str, str] = {}
        # Other encodings cannot store all characters. A pooler might not report it.
        encoding = self.info.parameter_status("server_encoding")
        if encoding not in (None, "UTF8"):
            raise psycopg2.OperationalError(f"The database's encoding is {encoding}; it must be UTF8")


class Postgres(CountedPool, PooledPostgresqlDatabase):
    """A PostgreSQL pool that survives server restarts and failovers.

    prepares -- whether its connections prepare statements
    """

    prepares: bool
    _down_since: float | None = None
    _failed_over_at = float("-inf")

    def _is_closed(self, conn: Any) -> bool:
        # Avoids peewee's `SELECT 1` before each reuse: an idle connection is readable only if the server closed it.
        if conn.closed:
            return True
        poll = select.poll()
        poll.register(conn.fileno(), select.POLLIN)
        return bool(poll.poll(0)) and super()._is_closed(conn)

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Connect. Waits up to RECONNECT_TIMEOUT_SECONDS for a restarting server, then fails immediately."""
        started_at = time.monotonic()
        while True:
            try:
                opened = super().connect(reuse_if_open)
            except (peewee.OperationalError, peewee.InterfaceError):
                down_since = min(started_at, self._down_since or started_at)
                if time.monotonic() - down_since > RECONNECT_TIMEOUT_SECONDS:
                    raise
                self._down_since = down_since
                time.sleep(0.1)
            else:
                self._down_since = None
                return opened

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        try:
            return super().execute_sql(sql, params)
        except peewee.InternalError as error:
            if database_errors.sqlstate(error) == database_errors.READ_ONLY:
                self._failed_over_at = time.monotonic()
                self.close_idle()
            raise
        except peewee.NotSupportedError as error:
            if database_errors.sqlstate(error) == database_errors.OUTDATED_STATEMENT:
                self.connection().is_outdated = True
            raise

    def _can_reuse(self, conn: Any) -> bool:
        # The former primary still serves reads, so its connections look healthy.
        has_failed_over = time.monotonic() - self._failed_over_at < FAILOVER_SECONDS
        return not (has_failed_over or conn.is_outdated) and super()._can_reuse(conn)


# Otherwise invalid UTF-8 would look like a database outage.
_decode = partial(str, encoding="utf-8", errors="replace")


class Sqlite(CountedPool, PooledSqliteDatabase):
    """SQLite with immediate write transactions, one thread per process at a time.

    An immediate transaction never fails halfway because another connection holds the write lock. SQLite does not queue
    writers, so under load some would wait for seconds (docs/scaling.md). A lock in the process prevents that.
    """

    def __init__(self, *args: Any, **options: Any):
        self._write_lock = threading.RLock()
        super().__init__(*args, **options)

    def connect(self, reuse_if_open: bool = False) -> bool:
        # SQLite would create a database for a mistyped path.
        if not os.path.exists(self.database):
            raise peewee.OperationalError(f"no such file: {self.database}")
        opened = super().connect(reuse_if_open)
        if opened:
            self.connection().text_factory = _decode
        return opened

    def begin(self, lock_type: str = "IMMEDIATE") -> None:
        if lock_type == "IMMEDIATE":
            # Continue after the timeout: SQLite's own lock still serializes the transactions.
            self._write_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            super().begin(lock_type)
        except BaseException:
            self._unlock()
            raise

    def commit(self) -> None:
        super().commit()
        self._unlock()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        with contextlib.suppress(RuntimeError):  # not locked by this thread
            self._write_lock.release()


def create_private_file(path: Any) -> None:
    """Create an empty file that only this user can read, unless it exists or the folder is read-only.

    SQLite creates its -wal and -shm files with the database's permissions.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def bind(url: str, pool: int = 8, prepares: bool = True) -> peewee.Database:
    """Connect the models to the database at `url`.

    pool -- maximum number of connections to PostgreSQL
    prepares -- whether these connections prepare frequent statements
    """
    options = parse_url(url, unquote_password=True, unquote_user=True) | {"database": database_name(url)}
    db.initialize(_sqlite(options) if url.startswith("sqlite") else _postgres(options, pool, prepares))
    return db.obj


def _sqlite(options: dict[str, Any]) -> Sqlite:
    path = options.pop("database")
    # The database contains candidate keys, so a new folder is private.
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    timeout_ms = LOCK_TIMEOUT_SECONDS * 1000
    pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "busy_timeout": timeout_ms}
    pragmas["secure_delete"] = 1  # overwrites deleted rows with zeros
    # The pool never gives a connection to two threads at once.
    shared = {"check_same_thread": False, "max_connections": None}
    return Sqlite(path, pragmas=pragmas, timeout=LOCK_TIMEOUT_SECONDS, **(shared | options))


def _postgres(options: dict[str, Any], pool: int, prepares: bool) -> Postgres:
    settings = {"max_connections": pool, "stale_timeout": 300, "timeout": 10, "connect_timeout": 5}
    # Detects a lost server (network failure, failover) within a minute.
    keepalive = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
    connection = {
        "connection_factory": PreparingConnection,
        "tcp_user_timeout": 30_000,
        "client_encoding": "UTF8",
    }
    database = Postgres(**(settings | keepalive | connection | options))
    database.prepares = prepares
    return database


def empty_write_ahead_log() -> bool:
    """Checkpoint and truncate SQLite's write-ahead log, which contains deleted rows.

    Returns False if another connection is reading or writing.
    """
    db.pragma("busy_timeout", CHECKPOINT_TIMEOUT_MS)
    try:
        ((is_busy, *_),) = db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not is_busy
    except peewee.OperationalError:
        return False
    finally:
        db.pragma("busy_timeout", LOCK_TIMEOUT_SECONDS * 1000)


def close_idle_connections() -> None:
    """Close this process's unused PostgreSQL connections every IDLE_SECONDS, in a thread."""

    def close() -> None:
        while True:
            time.sleep(IDLE_SECONDS)
            db.close_idle()

    # SQLite has no limit, and would write a checkpoint whenever the last connection closes.
    if is_postgres():
        threading.Thread(target=close, daemon=True).start()


def is_postgres() -> bool:
    return isinstance(db.obj, peewee.PostgresqlDatabase)


def for_update(query: Query, strength: Any = "FOR NO KEY UPDATE") -> Query:
    """Lock the query's rows until the transaction ends. A transaction on SQLite locks the whole database."""
    return query.for_update(strength) if is_postgres() else query


def release_connection() -> None:
    """Return the connection to the pool before slow work; the next query gets a new one."""
    database = db.obj
    # Tests run each request inside a transaction.
    if not database.is_closed() and not database.in_transaction():
        database.close()


@contextlib.contextmanager
def connection() -> Iterator[None]:
    """Close the connection on exit, unless it was already open."""
    opens_connection = db.is_closed()
    try:
        yield
    finally:
        if opens_connection:
            db.close()


def lock_by_name(name: str) -> None:
    """Lock a name until the transaction ends. Transactions on SQLite never overlap."""
    if is_postgres():
        db.execute_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def snapshot() -> Any:
    """Start a read-only transaction in which all queries see the same snapshot. It does not block writers."""
    return db.atomic("REPEATABLE READ" if is_postgres() else "DEFERRED")
