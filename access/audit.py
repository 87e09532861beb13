"""Audit entries for requests: action, author, subject, origin and request ID (models/ledger/audit.py)."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g, request

from access import caller
from models import ApiToken, CandidateKey, db
from models.ledger.audit import Actor, AuditEntry
from schemas.base import camel
from web.access_log import current_id
from web.unknown_names import known_fields


def record_change(
    created: str | None = None, prepare: Callable | None = None, subject: str | None = None
) -> Callable:
    """Run the view in a transaction that also records its change.

    Apply it directly above the function, because the body must be read before the transaction starts.

    created -- name of the result's field that contains the new row
    prepare -- called with the view's arguments before the transaction, for slow work; the view receives its result as
        `prepared`
    subject -- name of the path's id that identifies the changed row; by default the last one
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            prepared = {"prepared": prepare(*args, **kwargs)} if prepare else {}
            with db.atomic():
                result = view(*args, **kwargs, **prepared)
                columns = _subject(created, result[created].id) if created else _path_subject(kwargs, subject)
                AuditEntry.create(organization=caller.organization_id, **_build_columns(view), **columns)
            return result

        return wrapper

    return decorate


def prepare_entry(view: Callable) -> Callable:
    """Pass the entry's columns to the view as `audit_entry`. The view records the entry in its own SQL statement."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs, audit_entry=_build_columns(view))

    return wrapper


def record_read(view: Callable) -> Callable:
    """Record that a reviewer read a candidate's data, before the response is sent."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        if isinstance(caller, ApiToken):
            AuditEntry.create(
                organization=caller.organization_id, **_build_columns(view), **_path_subject(kwargs)
            )
        return result

    return wrapper


def record_candidate(key: Any, action: str) -> None:
    """Record a candidate's action. Call it within the change's transaction."""
    subject = _subject("candidate", key.id)
    AuditEntry.record(key.organization_id, action, Actor.of(key), **subject, request_id=current_id())


def record_runner(run: Any, action: str) -> None:
    """Record a runner's action. Call it within the change's transaction."""
    subject = _subject("testRun", run.id)
    AuditEntry.record(run.organization_id, action, Actor.of(caller), **subject, **request_origin())


def _build_columns(view: Callable) -> dict[str, Any]:
    return {
        "action": camel(view.__name__),
        **{f"actor_{name}": value for name, value in Actor.of(caller)._asdict().items()},
        "body_fields": known_fields(),
        **request_origin(),
    }


def request_origin() -> dict[str, Any]:
    """Return the columns for the client's address and the request ID."""
    # A candidate's address is personal data, and audit entries cannot be erased.
    address = None if isinstance(g.get("caller"), CandidateKey) else request.remote_addr
    return {"came_from": address, "request_id": current_id()}


def _path_subject(kwargs: dict[str, Any], only: str | None = None) -> dict[str, Any]:
    """Return the object that the path's last id identifies, or the id with the name `only`."""
    ids = {
        name: value for name, value in kwargs.items() if isinstance(value, uuid.UUID) and only in (name, None)
    }
    if not ids:
        return {}
    name, row_id = ids.popitem()
    return _subject(name.removesuffix("_id"), row_id)


def _subject(kind: str, row_id: Any) -> dict[str, Any]:
    return {"subject_kind": kind, "subject_id": row_id}
