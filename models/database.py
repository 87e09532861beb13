"""Database connections, transactions and locks, on PostgreSQL and SQLite."""

import contextlib
import fcntl
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
import psycopg2.extensions
import psycopg2.extras
from playhouse.db_url import parse as parse_url
from playhouse.pool import PooledDatabase, PooledPostgresqlDatabase, PooledSqliteDatabase

import errors
from rules.timestamps import UNREADABLE_TIME

LOCK_TIMEOUT_SECONDS = 5
RECONNECT_TIMEOUT_SECONDS = 5
# A checkpoint blocks all writers while it waits for readers.
CHECKPOINT_TIMEOUT_MS = 100
# After a failover every connection that was open before it is closed rather than reused.
FAILOVER_SECONDS = 60

# peewee's class is generic to type checkers only.
Query: TypeAlias = "peewee.ModelSelect[Any]"

db = peewee.DatabaseProxy()


class CountedPool(PooledDatabase):
    """Counts the connections in use by their threads; peewee's pool has no public count."""

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
    """A time as `datetime`. PostgreSQL has years that Python does not."""
    try:
        return psycopg2.extensions.PYDATETIMETZ(text, cursor)
    except (ValueError, OverflowError):
        return UNREADABLE_TIME


def _parse_json(text: str) -> Any:
    """Parsed JSON; None if it is nested deeper than Python can read, which the service never writes."""
    try:
        return json.loads(text)
    except RecursionError:
        return None


_TIMESTAMPTZ = psycopg2.extensions.new_type((1184,), "TIMESTAMPTZ", _cast_time)
psycopg2.extensions.register_type(_TIMESTAMPTZ)
psycopg2.extras.register_default_json(loads=_parse_json, globally=True)
psycopg2.extras.register_default_jsonb(loads=_parse_json, globally=True)


class Postgres(CountedPool, PooledPostgresqlDatabase):
    """A PostgreSQL pool that survives a restart of the server and a failover to another one."""

    _down_since: float | None = None
    _failed_over_at = float("-inf")

    def _is_closed(self, conn: Any) -> bool:
        # The pool would send `SELECT 1` before each reuse. An idle connection is readable only if the server has
        # closed it.
        if conn.closed:
            return True
        poll = select.poll()
        poll.register(conn.fileno(), select.POLLIN)
        return bool(poll.poll(0)) and super()._is_closed(conn)

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Connect, waiting for a restarting server; once it has been down for longer, fail immediately."""
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
            if errors.sqlstate(error) == errors.READ_ONLY:
                self._failed_over_at = time.monotonic()
                self.close_idle()
            raise

    def _can_reuse(self, conn: Any) -> bool:
        # The former primary still answers reads, so its connections look healthy.
        has_failed_over = time.monotonic() - self._failed_over_at < FAILOVER_SECONDS
        return not has_failed_over and super()._can_reuse(conn)


# Text that is not UTF-8 must not be treated as a database outage.
_decode = partial(str, encoding="utf-8", errors="replace")


class Sqlite(CountedPool, PooledSqliteDatabase):
    """SQLite with immediate write transactions, one thread of the process at a time.

    A transaction that starts immediate never fails halfway because another one has the write lock. SQLite's own
    waiting is not a queue: under load, some writers wait for seconds (docs/scaling.md).
    """

    def __init__(self, *args: Any, **options: Any):
        self._write_lock = threading.RLock()
        super().__init__(*args, **options)

    def connect(self, reuse_if_open: bool = False) -> bool:
        # SQLite creates its other files with the permissions of this one.
        create_private_file(self.database)
        opened = super().connect(reuse_if_open)
        if opened:
            self.connection().text_factory = _decode
        return opened

    def begin(self, lock_type: str = "IMMEDIATE") -> None:
        if lock_type == "IMMEDIATE":
            # Without the lock after the timeout: SQLite's own lock keeps the transactions apart.
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
        with contextlib.suppress(RuntimeError):  # This thread does not have the lock.
            self._write_lock.release()


def create_private_file(path: Any) -> None:
    """Create an empty file that only this user can read, unless it exists or the folder does not allow it."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def bind(url: str, pool: int = 20) -> peewee.Database:
    """Connect the models to the database at `url`."""
    options = parse_url(url, unquote_password=True, unquote_user=True)
    db.initialize(_sqlite(options) if url.startswith("sqlite") else _postgres(options, pool))
    return db.obj


def _sqlite(options: dict[str, Any]) -> Sqlite:
    path = options.pop("database")
    # The database contains candidate keys: a folder created here is private.
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    timeout_ms = LOCK_TIMEOUT_SECONDS * 1000
    pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "busy_timeout": timeout_ms}
    pragmas["secure_delete"] = 1  # Deleted rows are overwritten with zeros.
    # The pool passes a connection from thread to thread, never to two at the same time.
    shared = {"check_same_thread": False, "max_connections": None}
    return Sqlite(path, pragmas=pragmas, timeout=LOCK_TIMEOUT_SECONDS, **(shared | options))


def _postgres(options: dict[str, Any], pool: int) -> Postgres:
    settings = {"max_connections": pool, "stale_timeout": 300, "timeout": 10, "connect_timeout": 5}
    # Detects within a minute that the server is gone (cut network, failover).
    keepalive = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
    return Postgres(**(settings | keepalive | {"tcp_user_timeout": 30_000} | options))


def empty_write_ahead_log() -> bool:
    """Copy SQLite's write-ahead log, which contains deleted rows, into the database and truncate it.

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


def is_postgres() -> bool:
    return isinstance(db.obj, peewee.PostgresqlDatabase)


def for_update(query: Query, strength: Any = "FOR NO KEY UPDATE", of: Any = None) -> Query:
    """Lock the query's rows, or only the rows of the table `of`, until the transaction ends.

    SQLite needs no row locks: a transaction has the write lock from its start.
    """
    return query.for_update(strength, of=of) if is_postgres() else query


def release_connection() -> None:
    """Return the connection to the pool before slow work; the next query checks one out again."""
    database = db.obj
    # Tests run each request inside a transaction.
    if not database.is_closed() and not database.in_transaction():
        database.close()


@contextlib.contextmanager
def connection() -> Iterator[None]:
    """Open a connection if the request has closed its own, and close it afterwards."""
    opens_connection = db.is_closed()
    try:
        yield
    finally:
        if opens_connection:
            db.close()


def lock_by_name(name: str) -> None:
    """Lock a name until the transaction ends. On SQLite no lock is needed, because transactions never overlap."""
    if is_postgres():
        db.execute_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def snapshot() -> Any:
    """A read-only transaction whose queries all see the same state; on SQLite it does not block writers."""
    return db.atomic("REPEATABLE READ" if is_postgres() else "DEFERRED")


@contextlib.contextmanager
def process_lock(name: str) -> Iterator[None]:
    """Let one process at a time run the block: an advisory lock, or a lock file for SQLite.

    On PostgreSQL the block is one transaction. A session-level lock would leak behind PgBouncer in transaction mode.
    """
    if is_postgres():
        with db.atomic():
            lock_by_name(name)
            yield
        return
    path = f"{db.obj.database}.{name}.lock"
    create_private_file(path)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
