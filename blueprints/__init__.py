"""Endpoints, one module per resource; here Blueprint, the id converter, find() and pagination."""

import uuid
from collections.abc import Callable
from typing import Any

import flask_smorest
from flask import current_app
from werkzeug.routing import BaseConverter

from access.auth import caller
from errors import NotFound, Refusal
from models import Session, db
from schemas.fields import parse_id
from web.json import Parser


class IdConverter(BaseConverter):
    """A path segment as a UUID, or None: find() responds 404, but after authentication (R2)."""

    def to_python(self, value: str) -> uuid.UUID | None:
        return parse_id(value)


def find(model: Any, row_id: uuid.UUID | None, visible: Callable | None = None) -> Any:
    """The row if the caller may see it. Raises NotFound, whatever the reason (R2).

    visible -- a query by caller instead of `model.visible_to`
    """
    return find_among((visible or model.visible_to)(caller), row_id)


def find_among(query: Any, row_id: uuid.UUID | None) -> Any:
    """The row of a query over what the caller may see. Raises NotFound."""
    return or_not_found(row_id and query.where(query.model.id == row_id).get_or_none())


def or_not_found(row: Any) -> Any:
    """The row. Raises NotFound for None."""
    if row is None:
        raise NotFound()
    return row


def require_own(session: Session, session_id: str) -> None:
    """Raise NotFound if a request names another session than the credential's (R29)."""
    if parse_id(session_id) != session.id:
        raise NotFound()


def page(noun: str, query: Any, limit: int, offset: int) -> dict[str, Any]:
    """A page of an ordered query, as `{<noun>, total, limit, offset}`."""
    return {
        noun: list(query.limit(limit).offset(offset)),
        "total": query.order_by().count(),
        "limit": limit,
        "offset": offset,
    }


def refuses(*refusals: type[Refusal]) -> Callable:
    """Document the refusals of the view's own work; decorators document theirs."""

    def decorate(view: Any) -> Any:
        view.refusals = (*getattr(view, "refusals", ()), *refusals)
        return view

    return decorate


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's, with our parser; notes the schemas of a view for the documentation."""

    ARGUMENTS_PARSER = Parser()

    def arguments(self, schema: Any, location: str = "json", **options: Any) -> Callable:
        """flask-smorest's, with one instance of the schema; webargs would create one for each request."""
        instance = schema() if isinstance(schema, type) else schema
        parse = super().arguments(instance, location=location, **options)

        def decorate(view: Any) -> Any:
            view.arguments = getattr(view, "arguments", {}) | {location: instance}
            return parse(view)

        return decorate


def store() -> Any:
    """The store of submitted bundles (storage/)."""
    return current_app.extensions["storage"]


def setting(name: str) -> Any:
    return current_app.config[name]


def release_connection() -> None:
    """Return the connection to the pool before slow work; the next query takes one again."""
    database = db.obj
    # Tests hold a transaction around the request.
    if not database.is_closed() and not database.in_transaction():
        database.close()
