"""Endpoints, one module per resource, and their shared helpers."""

import uuid
from collections.abc import Callable, Iterator
from functools import wraps
from math import ceil
from typing import Any
from urllib.parse import urlsplit

import flask_smorest
import marshmallow as ma
import orjson
from flask import Response, current_app, make_response, request, stream_with_context
from werkzeug.routing import BaseConverter

from access import caller
from access.addresses import ignore_database_errors
from errors import BundleChanged, NotFound, RecordingRequired
from models import Assessment, CandidateKey, Session, StorageMarker, batches, db, disclosure
from models.database import release_connection
from models.sessions import consented_channels, is_recorded
from rules.cursors import Cursor
from rules.session_quota import Quota
from rules.workspace_files import MODEL_PROVIDERS
from schemas.fields import Dict, ListOf, Nested, parse_id
from schemas.timestamps import Timestamp
from web.json import Parser

JSON_LINES = "application/x-ndjson"


class IdConverter(BaseConverter):
    """Converts a path segment to a UUID, or to None if invalid, so find() responds 404 after authentication (R2)."""

    def to_python(self, value: str) -> uuid.UUID | None:
        return parse_id(value)


def find(model: Any, row_id: uuid.UUID | None, among: Any = None) -> Any:
    """Return the row if the caller can see it, or raise NotFound (R2).

    among -- the query to search; by default `model.visible_to(caller)`
    """
    query = model.visible_to(caller) if among is None else among
    return or_not_found(row_id and query.where(model.id == row_id).get_or_none())


def or_not_found(row: Any) -> Any:
    """Return the row. Raises NotFound for None."""
    if row is None:
        raise NotFound()
    return row


def get_key_session(key: Any, session_id: str) -> Session:
    """Return the key's session. Raises NotRedeemed, or NotFound unless `session_id` is its id (R29)."""
    session = Session.get_for_key(key)
    if parse_id(session_id) != session.id:
        raise NotFound()
    return session


def get_filters(query: dict[str, Any]) -> dict[str, Any]:
    """Return a list query's parameters except those for paging."""
    return {name: query[name] for name in query.keys() - {"limit", "offset", "after", "order"}}


def page(noun: str, rows: Any, query: dict[str, Any], newest_first: bool = False) -> dict[str, Any]:
    """Return a page of rows, by default oldest first, as `{<noun>, next, total, limit, offset}`.

    Pages by cursor omit the total, because counting is slow for long lists.
    """
    total = None if "after" in query else rows.order_by().count()
    limits = {"limit": query["limit"], "offset": query["offset"]}
    return cursor_page(noun, rows, query, newest_first) | {"total": total} | limits


def cursor_page(noun: str, rows: Any, query: dict[str, Any], newest_first: bool = False) -> dict[str, Any]:
    """Return a page of rows as `{<noun>, next}`; without a limit, all rows after the query's cursor."""
    columns = (rows.model.created_at, rows.model.id)
    is_descending = query.get("order", "desc" if newest_first else "asc") == "desc"
    rows = batches.after(rows, columns, query.get("after"), is_descending)
    limit = query.get("limit")
    entries, next_cursor = split_page(
        list(rows.limit(limit and limit + 1).offset(query.get("offset"))), limit
    )
    return {noun: entries, "next": next_cursor}


def split_page(rows: list, limit: int | None) -> tuple[list, str | None]:
    """Split limit + 1 rows into the page's rows and the next page's cursor."""
    if limit is None or len(rows) <= limit:
        return rows, None
    return rows[:limit], str(Cursor.from_row(rows[limit - 1]))


def with_location(view: Callable) -> Callable:
    """Set `Location` on a 201 to the new object's path.

    Apply it above `idempotent`, so replays include the header.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        if response.status_code == 201:
            created = next(iter(orjson.loads(response.get_data()).values()))
            prefix = urlsplit(setting("BASE_URL")).path
            response.headers["Location"] = f"{prefix}{request.path.rstrip('/')}/{created['id']}"
        return response

    wrapper.success_headers = (*getattr(view, "success_headers", ()), "Location")  # type: ignore[attr-defined]
    return wrapper


def file_response(name: str, chunks: Iterator, mimetype: str = JSON_LINES) -> Response:
    """Stream a file download with this name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(stream_with_context(chunks), mimetype=mimetype, headers=headers)


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's Blueprint with our parser. It records a view's schemas for the documentation."""

    ARGUMENTS_PARSER = Parser()

    def arguments(self, schema: Any, location: str = "json", **options: Any) -> Callable:
        """Parse the arguments with a single schema instance, not one per request."""
        instance = schema() if isinstance(schema, type) else schema
        parse = super().arguments(instance, location=location, **options)

        def decorate(view: Any) -> Any:
            view.arguments = getattr(view, "arguments", {}) | {location: instance}
            instance.response_fields = getattr(view, "response_fields", {})
            return parse(view)

        return decorate

    def response(self, status: Any, schema: Any = None, **options: Any) -> Callable:
        """Document and serialize the response. Requests can contain the fields of its object (R35)."""
        instance = schema() if isinstance(schema, type) else schema
        document = super().response(status, instance, **options)

        def decorate(view: Any) -> Any:
            if isinstance(instance, ma.Schema):
                view.response_fields = _get_object_fields(instance)
            return document(_with_schema(view, status, instance))

        return decorate

    def alt_response(self, status: Any, schema: Any = None, **options: Any) -> Callable:
        """Document a response with an example."""
        instance = schema() if isinstance(schema, type) else schema
        document = super().alt_response(status, schema=instance, **options)
        return lambda view: document(_with_schema(view, status, instance))

    def file(
        self, content: str, description: str, content_type: str = JSON_LINES, *, example: str
    ) -> Callable:
        """Document a file_response()."""
        schema = {"type": "string", "description": content}
        options = {"content_type": content_type, "description": description, "example": example}
        document = self.alt_response(200, schema=schema, **options)

        def decorate(view: Any) -> Any:
            view.success_headers = (*getattr(view, "success_headers", ()), "Content-Disposition")
            return document(view)

        return decorate


def _with_schema(view: Any, status: Any, schema: Any) -> Any:
    """Record a response's schema for the documentation's example."""
    if isinstance(schema, ma.Schema):
        view.response_schemas = getattr(view, "response_schemas", {}) | {str(status): schema}
    return view


def _get_object_fields(schema: Any) -> dict[str, bool]:
    """Return the fields of a response's object, and whether an update that includes them must match their values.

    Timestamps, counts and nested objects are exempt: they can change without the client's knowledge.
    """
    first = next(iter(schema.fields.values()), None)
    fields = getattr(first, "schema", schema).fields.values()
    return {
        field.data_key: not isinstance(field, (Timestamp, Nested, ListOf, Dict))
        and not field.data_key.endswith("Count")
        for field in fields
    }


def record_task_read() -> None:
    """Record a candidate's first read of the task before the start (R50). The start sets the column if it is empty."""
    if isinstance(caller, CandidateKey) and caller.task_read_at is None:
        with ignore_database_errors(), db.atomic():
            caller.record_task_read()


def store() -> Any:
    """Return the bundle store. Raises StoreUnavailable unless it has this installation's marker."""
    storage = current_app.extensions["storage"]
    StorageMarker.require(storage)
    return storage


def require_unchanged(object_key: str, size: int, sha256: str) -> None:
    """Raise BundleChanged if a stored file was changed by another client of the store."""
    if store().size_and_sha256(object_key) != (size, sha256):
        raise BundleChanged()


def can_record(session: Session, channel: str) -> bool:
    """Return whether the candidate consented to the channel (R38). Raises RecordingRequired (R45)."""
    channels = consented_channels(session)
    if not is_recorded(session, channels):
        raise recording_required()
    return channel in channels


def recording_required() -> RecordingRequired:
    return RecordingRequired(f"{setting('BASE_URL')}/start#{caller.key}")


def session_quota() -> Quota:
    """Return the limits of a session's stored data."""
    return Quota(setting("SESSION_MAX_BYTES"), setting("SESSION_MAX_EVENTS"))


def model_budget_nano_usd(assessment: Assessment) -> int | None:
    """Return a session's budget for model calls; None for no limit (R42)."""
    limit = assessment.token_budget_nano_usd
    return limit if limit is not None else ceil(setting("SESSION_DEFAULT_BUDGET_USD") * 10**9) or None


def setting(name: str) -> Any:
    return current_app.config[name]


def build_disclosure(organization: Any) -> dict[str, Any]:
    """Return the organization's disclosure, with the terms' URL."""
    current = disclosure.for_organization(organization, has_client=bool(setting("CLIENT_INSTALL")))
    return current | {"tos_url": setting("TERMS_URL") or ""}


def model_providers() -> list[str]:
    """Return the model providers that this service has an API key for."""
    has_proxy = "proxy" in current_app.extensions
    return [name for name in MODEL_PROVIDERS if has_proxy and setting(f"{name.upper()}_API_KEY")]
