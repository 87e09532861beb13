"""Turn HTTP and database errors into error responses (R26)."""

import logging
import sqlite3
from typing import Any
from urllib.parse import urlsplit

import peewee
from flask import Flask, current_app
from werkzeug.exceptions import HTTPException

import database_errors
import errors

log = logging.getLogger("proofstone")


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _respond)
    app.register_error_handler(peewee.DoesNotExist, _row_deleted)
    app.register_error_handler(peewee.IntegrityError, _conflict)
    for kind in (peewee.DatabaseError, sqlite3.Error, *database_errors.CONNECTION_ERRORS):
        app.register_error_handler(kind, _database_error)


def _respond(error: HTTPException) -> Any:
    """Build an error response with a link to the code's documentation (R44)."""
    if isinstance(error, errors.StoreUnavailable):
        cause = f" {errors.first_line(error.__cause__)}" if error.__cause__ else ""
        log.warning("A request needed the bundle store. %s%s", error, cause)
    if isinstance(error, errors.UnknownLedgerKey):
        log.error("%s", error)
    body, status, headers = errors.build_response(error)
    prefix = urlsplit(current_app.config["BASE_URL"]).path.rstrip("/")
    return body, status, [*headers, ("Link", f'<{prefix}/docs/errors.md#{body["code"]}>; rel="help"')]


def _row_deleted(error: Exception) -> Any:
    log.warning("A row was deleted during a request: %s", type(error).__name__)
    return _respond(errors.NotFound())


def _conflict(error: peewee.IntegrityError) -> Any:
    response = database_errors.conflict_for(error)
    log.warning("A database constraint rejected a request: %s", response.reason)
    return _respond(response())


def _database_error(error: Exception) -> Any:
    if database_errors.error_for(error) is None:
        # An outdated schema is not a bug.
        parts = current_app.extensions["readiness"].check()
        if parts["migrations"] == "behind":
            return _respond(errors.NotReady(parts=parts))
    return _respond(database_errors.response_to_database_error(error))
