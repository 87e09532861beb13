"""The database, its clock and the columns that every table shares."""

import contextlib
import fcntl
import select
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import peewee
import uuid_utils.compat
from playhouse.db_url import parse as parse_url
from playhouse.pool import PooledPostgresqlDatabase, PooledSqliteDatabase

import errors
from rules.instants import text_of

# So long a statement waits for SQLite's lock.
LOCK_SECONDS = 5
RECONNECT_SECONDS = 5
# Less than this costs nobody anything; an hour would.
SETBACK = timedelta(seconds=30)

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


class Setback:
    """Notices that the clock was set back, by the one that nobody sets: what was planned by it before would be late."""

    def __init__(self) -> None:
        self._planned_by = self._difference()

    @property
    def has_happened(self) -> bool:
        """Whether it was, by more than SETBACK, since this was made or `settle` was called."""
        return self._planned_by - self._difference() > SETBACK

    def settle(self) -> None:
        """What was planned has been put right."""
        self._planned_by = self._difference()

    @staticmethod
    def _difference() -> datetime:
        return clock.now() - timedelta(seconds=time.monotonic())


class Unsent(threading.local):
    """Statements of a thread that wait for the next one."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.values: list[Any] = []

    def add(self, statement: str, values: Sequence[Any] = ()) -> None:
        self.statements.append(statement)
        self.values += values

    def take_with(self, statement: str, values: Sequence[Any] | None) -> tuple[str, list[Any]]:
        """All of them and a last one, as one text with its values."""
        taken = "; ".join([*self.statements, statement]), [*self.values, *(values or ())]
        self.clear()
        return taken

    def clear(self) -> None:
        self.statements, self.values = [], []


class Postgres(PooledPostgresqlDatabase):
    """PostgreSQL with a pool that outlives a restart of the server and one that takes another's place, and with few
    round trips.

    The beginning of a transaction, and inserts of which nobody awaits an answer, travel with the statement after them:
    issuing keys takes 5 round trips so instead of 13. What fails there fails at the statement that it travels with, at
    the latest at the commit.
    """

    _away_since: float | None = None

    def __init__(self, *args: Any, **options: Any):
        self._unsent = Unsent()
        self._renounced: set[Any] = set()
        super().__init__(*args, **options)

    def begin(self, isolation_level: Any = None) -> None:
        # Connecting forgets which transactions there are, and must not come after their beginning.
        self.connect(reuse_if_open=True)
        self._unsent.clear()
        self._unsent.add(f"BEGIN ISOLATION LEVEL {isolation_level}" if isolation_level else "BEGIN")

    def send_with_next(self, sql: str, params: Sequence[Any]) -> None:
        """Let the statement travel with the next one of the transaction; outside of one it goes at once."""
        if self.in_transaction():
            self._unsent.add(sql, params)
        else:
            self.execute_sql(sql, params)

    def execute_sql(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        if sql.startswith("ROLLBACK TO SAVEPOINT"):
            # What waits came after the savepoint, which was sent itself, and goes with it.
            self._unsent.clear()
        if self._unsent.statements:
            sql, params = self._unsent.take_with(sql, params)
        try:
            return super().execute_sql(sql, params)
        except peewee.InternalError as error:
            if errors.sqlstate(error) == errors.READ_ONLY:
                self._renounce()
            raise

    def commit(self) -> None:
        if self._has_not_begun and len(self._unsent.statements) == 1:
            self._unsent.clear()
        else:
            self.execute_sql("COMMIT")

    def rollback(self) -> None:
        had_begun = not self._has_not_begun
        self._unsent.clear()
        if had_begun:
            super().rollback()

    @property
    def _has_not_begun(self) -> bool:
        """Whether the server does not know of the transaction yet."""
        return any(statement.startswith("BEGIN") for statement in self._unsent.statements)

    def _is_closed(self, conn: Any) -> bool:
        # An idle connection has something to read only when the server has said its last words: asking it costs a
        # round trip, and is left for that case.
        return bool(conn.closed) or (_can_read(conn) and super()._is_closed(conn))

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

    def _renounce(self) -> None:
        """Use none of the present connections again: they lead to a server that has become read only, and all but
        writing works on them. A new one leads to whoever took its place."""
        with self._pool_lock:
            self._renounced.update(self._in_use)
            self.close_idle()

    def _can_reuse(self, conn: Any) -> bool:
        if self.conn_key(conn) not in self._renounced:
            return super()._can_reuse(conn)
        self._renounced.discard(self.conn_key(conn))
        return False


def _can_read(conn: Any) -> bool:
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Turn(threading.local):
    """Which of the process' threads may write; who waits in vain for LOCK_SECONDS goes on without it.

    lock -- the same for all threads, of which each has its own word on whose turn it is
    """

    def __init__(self, lock: Any) -> None:
        self._lock, self._is_mine = lock, False

    def take(self) -> None:
        self._is_mine = self._lock.acquire(timeout=LOCK_SECONDS)

    def end(self) -> None:
        if self._is_mine:
            self._is_mine = False
            self._lock.release()


class Sqlite(PooledSqliteDatabase):
    """SQLite whose transactions take the write lock at once, so that none fails half-way for want of it.

    Those of a process' threads come in turn, and each waits for LOCK_SECONDS at most for its turn and then for the
    other processes: SQLite gives the lock to whoever asks at the right moment, and of sixteen that ask now and then one
    may wait for seconds. Two processes of eight threads that stored as many events as they could: the slowest took
    0.1 s, without turns 1.1 to 1.5, for a sixth fewer events.
    """

    def __init__(self, *args: Any, **options: Any):
        self._turn = Turn(threading.Lock())
        super().__init__(*args, **options)

    def begin(self, lock_type: str = "IMMEDIATE") -> None:
        if lock_type != "IMMEDIATE":
            super().begin(lock_type)
            return
        self._turn.take()
        try:
            super().begin(lock_type)
        except BaseException:
            self._turn.end()
            raise

    def commit(self) -> None:
        super().commit()
        self._turn.end()

    def rollback(self) -> None:
        try:
            if not self._has_rolled_back():
                super().rollback()
        finally:
            self._turn.end()

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        if sql.startswith("ROLLBACK TO SAVEPOINT") and self._has_rolled_back():
            return None
        return super().execute_sql(sql, params)

    def _has_rolled_back(self) -> bool:
        """A full disk, or a broken one, makes SQLite end a transaction by itself. To roll back then what is no more
        would fail, and hide the reason."""
        return not self.is_closed() and not self.connection().in_transaction


def bind(url: str, pool: int = 20) -> peewee.Database:
    """Let the models speak to the database behind `url`."""
    options = parse_url(url, unquote_password=True, unquote_user=True)
    db.initialize(_sqlite(options) if url.startswith("sqlite") else _postgres(options, pool))
    return db.obj


def _sqlite(options: dict[str, Any]) -> Sqlite:
    path = options.pop("database")
    # Keys lie in it as text: a folder made here is this user's alone.
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pragmas = {
        "journal_mode": "wal",
        "synchronous": "full",
        "foreign_keys": 1,
        "busy_timeout": LOCK_SECONDS * 1000,
    }
    # The pool hands a connection from thread to thread, though never to two at once.
    shared = {"check_same_thread": False, "max_connections": None}
    return Sqlite(path, pragmas=pragmas, timeout=LOCK_SECONDS, **(shared | options))


def _postgres(options: dict[str, Any], pool: int) -> Postgres:
    settings = {"max_connections": pool, "stale_timeout": 300, "timeout": 10, "connect_timeout": 5}
    # A server that vanishes without a word (a cut network, a failover) is noticed within a minute, not in hours.
    settings |= {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
    settings |= {"tcp_user_timeout": 30_000}
    return Postgres(**(settings | options))


def is_postgres() -> bool:
    return isinstance(db.obj, peewee.PostgresqlDatabase)


def locked(query: Query, strength: Any = "FOR NO KEY UPDATE", of: Any = None) -> Query:
    """Lock the rows of the query, or those of one of its tables, until the transaction ends.

    SQLite needs no lock: its transactions hold the only write lock from their beginning.
    """
    return query.for_update(strength, of=of) if is_postgres() else query


def by_one_statement() -> Any:
    """A transaction of one statement, which PostgreSQL makes by itself. SQLite would too, but out of turn (Sqlite)."""
    return contextlib.nullcontext() if is_postgres() else db.atomic()


def snapshot() -> Any:
    """A transaction of readings that all see one moment, and in which SQLite keeps nobody from writing; inside of
    another it is a part of that one."""
    return db.atomic("REPEATABLE READ" if is_postgres() else "DEFERRED")


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Let only one process at a time do what stands inside: an advisory lock, or for SQLite a lock file.

    On PostgreSQL all of it is one transaction, and the lock goes with it. One of the session would stay for good behind
    PgBouncer in transaction mode, where the unlocking may reach another connection than the locking did.
    """
    if is_postgres():
        key = int.from_bytes(name.encode()[:7], "big")
        with db.atomic():
            db.execute_sql("select pg_advisory_xact_lock(%s)", (key,))
            yield
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


def insert_rows(model: Any, rows: list[dict[str, Any]], **same: Any) -> None:
    """Insert rows, all with the same columns, in one statement; ids stand for the rows that they name.

    same -- columns in which the rows do not differ; they are sent once

    In place of peewee's insert_many, which builds the SQL node by node: 50 keys took it 7 ms, and take 0.4 here.
    PostgreSQL is sent the rows as one JSON text, so that the statement is the same for any number of them, and with
    the statement after it.
    """
    if rows and is_postgres():
        db.send_with_next(*_insert(model, rows, same))
    elif rows:
        db.execute_sql(*_insert(model, rows, same))


def insert_new_rows(model: Any, rows: list[dict[str, Any]], unique: peewee.Field, **same: Any) -> int:
    """As insert_rows, leaving out rows whose value of the unique column is there already; returns how many there
    were not."""
    if not rows:
        return 0
    statement, values = _insert(model, rows, same)
    return db.execute_sql(f'{statement} ON CONFLICT ("{unique.column_name}") DO NOTHING', values).rowcount


def _insert(model: Any, rows: list[dict[str, Any]], same: dict[str, Any]) -> tuple[str, Sequence[Any]]:
    absent = {field.name: default for field, default in model._meta.defaults.items()}
    absent = {name: default for name, default in absent.items() if name not in rows[0] and name not in same}
    if make_id := absent.pop("id", None):
        rows = [{"id": make_id(), **row} for row in rows]
    same |= {name: default() if callable(default) else default for name, default in absent.items()}
    differing, shared = tuple(rows[0]), tuple(same)
    if is_postgres():
        sent = [orjson.dumps(part, default=_hexadecimal).decode() for part in (rows, same) if part]
        return _statement_for_json(model, differing, shared), sent
    fields = _fields(model, differing + shared)
    bound = [_bound(field, {**row, **same}[field.name]) for row in rows for field in fields]
    return _statement_for_values(model, fields, len(rows)), bound


def _fields(model: Any, names: tuple[str, ...]) -> tuple[peewee.Field, ...]:
    return tuple(model._meta.fields[name] for name in names)


def _bound(field: peewee.Field, value: Any) -> Any:
    """The value as SQLite takes it; peewee makes a call in SQL of JSON."""
    is_json = isinstance(field, peewee.JSONField) and value is not None
    return orjson.dumps(value).decode() if is_json else field.db_value(value)


@lru_cache
def _statement_for_json(model: Any, differing: tuple[str, ...], shared: tuple[str, ...]) -> str:
    rows, same = _fields(model, differing), _fields(model, shared)
    statement = (
        f"{_insert_into(model, rows + same)} SELECT * FROM json_to_recordset(%s) AS rows ({_shape(rows)})"
    )
    return f"{statement}, json_to_record(%s) AS same ({_shape(same)})" if same else statement


def _shape(fields: tuple[peewee.Field, ...]) -> str:
    types = db.get_context_options()["field_types"]
    return ", ".join(f'"{field.name}" {types.get(field.field_type, field.field_type)}' for field in fields)


@lru_cache
def _statement_for_values(model: Any, fields: tuple[peewee.Field, ...], count: int) -> str:
    row = f"({', '.join('?' for _ in fields)})"
    return f"{_insert_into(model, fields)} VALUES {', '.join([row] * count)}"


def _insert_into(model: Any, fields: tuple[peewee.Field, ...]) -> str:
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    return f'INSERT INTO "{model._meta.table_name}" ({columns})'


def _hexadecimal(value: bytes) -> str:
    return f"\\x{bytes(value).hex()}"


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
    return "\n".join(filter(None, texts)).casefold()
