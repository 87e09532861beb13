"""Database errors and their error responses, by SQLSTATE on PostgreSQL and by SQLite's error code.

Other database errors are bugs: SQLite's driver raises OperationalError even for an invalid statement.
"""

import logging
import re
import sqlite3
from typing import Any

import peewee
from playhouse.pool import MaxConnectionsExceeded

from errors import ApiError, Busy, Conflict, DatabaseFull, DiskFull, Unavailable, first_line

log = logging.getLogger("proofstone")

READ_ONLY = "25006"
DEADLOCK = "40P01"
LOCK_NOT_AVAILABLE = "55P03"
UNIQUE_VIOLATION = "23505"
UNDEFINED_TABLE = "42P01"
DUPLICATE_TABLE = "42P07"
NO_PREPARED_STATEMENT = "26000"
DUPLICATE_PREPARED_STATEMENT = "42P05"
OUTDATED_STATEMENT = "0A000"  # A migration changed the type of a column that a prepared statement returns.
POSTGRES_ERRORS: dict[str, type[ApiError]] = {
    READ_ONLY: Unavailable,  # The server was the primary until a failover.
    "25P02": Unavailable,  # The transaction is aborted.
    "25P03": Unavailable,  # The server closed an idle transaction.
    "40001": Busy,
    DEADLOCK: Busy,
    "53100": DatabaseFull,
    NO_PREPARED_STATEMENT: Unavailable,
    DUPLICATE_PREPARED_STATEMENT: Unavailable,
    OUTDATED_STATEMENT: Unavailable,
}
SQLITE_ERRORS: dict[int, type[ApiError]] = {
    sqlite3.SQLITE_BUSY: Unavailable,
    sqlite3.SQLITE_LOCKED: Unavailable,
    sqlite3.SQLITE_CANTOPEN: Unavailable,
    sqlite3.SQLITE_READONLY: Unavailable,
    sqlite3.SQLITE_IOERR: Unavailable,
    sqlite3.SQLITE_IOERR_SHMSIZE: DiskFull,
    sqlite3.SQLITE_FULL: DiskFull,
}
CONNECTION_ERRORS = (peewee.OperationalError, peewee.InterfaceError, MaxConnectionsExceeded)


def error_for(error: BaseException) -> type[ApiError] | None:
    """Return the error response for a database error, or None if it is a bug."""
    # If SQLite has already ended the transaction, the rollback fails and hides the cause.
    if (context := error.__context__) and (context_response := error_for(context)):
        return context_response
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return SQLITE_ERRORS.get(code) or SQLITE_ERRORS.get(code & 0xFF)
    by_sqlstate = POSTGRES_ERRORS.get(sqlstate(error) or "")
    # psycopg2 raises a plain DatabaseError if a connection breaks during a response.
    is_connection_error = isinstance(error, CONNECTION_ERRORS) or type(error) is peewee.DatabaseError
    return by_sqlstate or (Unavailable if is_connection_error else None)


# Error responses for violated unique constraints, by constraint name, or by columns on SQLite. Models declare them with
# `add_index` (models/base.py).
CONFLICTS: dict[str, type[ApiError]] = {}


def conflict_for(error: peewee.IntegrityError) -> type[ApiError]:
    """Return the error response for a violated constraint."""
    cause: Any = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        constraint = str(cause).removeprefix("UNIQUE constraint failed: ")
    else:
        constraint = cause.diag.constraint_name
    return CONFLICTS.get(constraint, Conflict)


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character error code, if any."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


# The driver reports no SQLSTATE for a rejected connection.
_TOO_MANY_CONNECTIONS = re.compile(
    "too many (clients|connections)|remaining connection slots|no more connections"
)


def describe_for_operator(error: BaseException) -> str:
    """Describe a database error and its remedy to an operator."""
    remedy = "Check that the database is running and that DATABASE_URL is correct."
    if sqlstate(error) == UNDEFINED_TABLE or "no such table" in str(error):
        remedy = "Run `flask db upgrade`."
    elif sqlstate(error) == DEADLOCK:
        remedy = "Another process locked the same rows. Run the command again."
    elif sqlstate(error) in (NO_PREPARED_STATEMENT, DUPLICATE_PREPARED_STATEMENT):
        remedy = "Set DATABASE_PREPARED_STATEMENTS=false: the server is PgBouncer in transaction mode."
    elif "it must be UTF8" in str(error):
        remedy = "Create it with `createdb --encoding=UTF8 --template=template0`."
    elif _TOO_MANY_CONNECTIONS.search(str(error)):
        remedy = (
            "Stop processes, lower DATABASE_POOL or raise PostgreSQL's max_connections (docs/scaling.md)."
        )
    return f"{first_line(error).rstrip('.')}. {remedy}"


def response_to_database_error(error: BaseException) -> ApiError:
    """Log a database error and return its error response. Re-raises a bug."""
    response = error_for(error)
    if response is None:
        raise error
    # Log the original error, not the failed rollback.
    while error.__context__ and error_for(error.__context__):
        error = error.__context__
    log.error("Database error (%s): %s", response.reason, describe_for_operator(error))
    return response()
