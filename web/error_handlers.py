"""Error handlers: HTTP and database errors become refusals (R26)."""

import logging
import sqlite3

import peewee
from flask import Flask, current_app
from werkzeug.exceptions import HTTPException

import errors

log = logging.getLogger("proofstone")


def register(app: Flask) -> None:
    """Respond to HTTP and database errors in the shape of R26."""
    app.register_error_handler(HTTPException, errors.response_of)
    app.register_error_handler(peewee.DoesNotExist, _disappeared)
    app.register_error_handler(peewee.IntegrityError, _conflict)
    for kind in (peewee.DatabaseError, sqlite3.Error, *errors.CONNECTION_ERRORS):
        app.register_error_handler(kind, _database_error)


def _disappeared(error: Exception) -> tuple[dict, int, list]:
    """A row was deleted during the request."""
    log.warning("A row was deleted during a request: %s", type(error).__name__)
    return errors.response_of(errors.NotFound())


def _conflict(error: Exception) -> tuple[dict, int, list]:
    log.warning("A database constraint refused a request: %s", type(error).__name__)
    return errors.response_of(errors.Conflict())


def _database_error(error: Exception) -> tuple[dict, int, list]:
    if errors.refusal_for(error) is None:
        # Not a bug if the schema is older than the code.
        parts = current_app.extensions["readiness"].parts()
        if parts["migrations"] == "behind":
            return errors.response_of(errors.NotReady(parts=parts))
    return errors.response_of(errors.refuse_database_error(error))
