"""The database, its clock and the columns that every table shares."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import peewee
import uuid_utils.compat
from playhouse.db_url import parse as parse_url
from playhouse.pool import PooledPostgresqlDatabase, PooledSqliteDatabase

from rules.instants import text_of

RECONNECT_SECONDS = 5

# peewee's class is generic to type checkers only.
Query: TypeAlias = "peewee.ModelSelect[Any]"

db = peewee.DatabaseProxy()


class Clock:
    """The time in UTC, in the whole milliseconds that the API speaks; tests set it."""

    def __init__(self) -> None:
        self.fixed: datetime | None = None

    def now(self) -> datetime:
        moment = self.fixed or datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def __deepcopy__(self, memo: dict) -> "Clock":
        # peewee copies inherited fields with their defaults; the time stays the same everywhere.
        return self


clock = Clock()


class Postgres(PooledPostgresqlDatabase):
    """PostgreSQL with a pool that outlives a restart of the server."""

    _away_since: float | None = None

    def connect(self, reuse_if_open: bool = False) -> bool:
        # A restart takes a second or two: requests wait for it rather than fail. Once it lasts longer all fail
        # at once, so that no thread is kept from what needs no database.
        began = time.monotonic()
        while True:
            try:
                opened = super().connect(reuse_if_open)
            except (peewee.OperationalError, peewee.InterfaceError):
                away_since = min(began, self._away_since or began)
                if time.monotonic() - away_since > RECONNECT_SECONDS:
                    raise
                self._away_since = away_since
                time.sleep(0.1)
            else:
                self._away_since = None
                return opened


class Sqlite(PooledSqliteDatabase):
    """SQLite whose transactions take the write lock at once, so that none fails half-way for want of it."""

    def begin(self, lock_type: str = "IMMEDIATE") -> None:
        super().begin(lock_type)


def bind(url: str, pool: int = 20) -> peewee.Database:
    """Let the models speak to the database behind `url`."""
    options = parse_url(url, unquote_password=True, unquote_user=True)
    db.initialize(_sqlite(options) if url.startswith("sqlite") else _postgres(options, pool))
    return db.obj


def _sqlite(options: dict[str, Any]) -> Sqlite:
    path = options.pop("database")
    if path != ":memory:":
        # Keys lie in it as text: a folder made here is this user's alone.
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "busy_timeout": 5000}
    # The pool hands a connection from thread to thread, though never to two at once.
    shared = {"check_same_thread": False, "max_connections": None}
    return Sqlite(path, pragmas=pragmas, timeout=5, **(shared | options))


def _postgres(options: dict[str, Any], pool: int) -> Postgres:
    settings = {"max_connections": pool, "stale_timeout": 300, "timeout": 10, "connect_timeout": 5}
    # A server that vanishes without a word (a cut network, a failover) is noticed within a minute, not in hours.
    settings |= {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
    settings |= {"tcp_user_timeout": 30_000}
    return Postgres(**(settings | options))


def is_postgres() -> bool:
    return isinstance(db.obj, peewee.PostgresqlDatabase)


def locked(query: Query, strength: Any = "FOR NO KEY UPDATE") -> Query:
    """Lock the rows of the query until the transaction ends.

    SQLite needs no lock: its transactions hold the only write lock from their beginning.
    """
    return query.for_update(strength) if is_postgres() else query


def snapshot() -> Any:
    """A transaction whose statements all see one moment; inside of another it is a part of that one."""
    return db.atomic("REPEATABLE READ") if is_postgres() else db.atomic()


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Let only one process at a time do what stands inside: an advisory lock, or for SQLite a lock file."""
    if is_postgres():
        key = int.from_bytes(name.encode()[:7], "big")
        db.execute_sql("select pg_advisory_lock(%s)", (key,))
        try:
            yield
        finally:
            db.execute_sql("select pg_advisory_unlock(%s)", (key,))
        return
    with open(f"{db.obj.database}.{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class TimestampField(peewee.Field):
    """A moment, always aware and in UTC: TIMESTAMPTZ, or ISO text with milliseconds on SQLite."""

    field_type = "TIMESTAMPTZ"

    def db_value(self, value: datetime | None) -> Any:
        if value is None or is_postgres():
            return value
        return text_of(value)

    def python_value(self, value: Any) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value if value is None else value.astimezone(UTC)


class BytesField(peewee.BlobField):
    """Bytes; PostgreSQL's driver would give a view that is equal to nothing."""

    def python_value(self, value: Any) -> bytes | None:
        return None if value is None else bytes(value)


def new_id() -> Any:
    """A UUIDv7: ids ascend as they are made (R23)."""
    return uuid_utils.compat.uuid7()


class Model(peewee.Model):
    id = peewee.UUIDField(primary_key=True, default=new_id)
    created_at = TimestampField(default=clock.now)

    class Meta:
        database = db
        legacy_table_names = False


class GoesWithSession:
    """For tables whose rows are about a session's candidate and go as a whole when the data is erased
    (models/privacy.py)."""

    session: Any

    @classmethod
    def of_person(cls: Any, key: Any, session: Any) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_of(cls: Any, key: Any, session: Any) -> int:
        return cls.delete().where(cls.session == session).execute()


def folded(*texts: str | None) -> str:
    """Texts as they are searched for in any letter case: the same on every database, whatever its locale."""
    return "\n".join(text.casefold() for text in texts if text)
