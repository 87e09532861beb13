"""The audit log's side of a request: its author, its origin and its id (models/audit.py)."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request

from access.auth import caller
from models import ApiToken, db
from models.audit import Actor, AuditEntry
from schemas.base import camel
from web.access_log import current_id


def change(created: str | None = None) -> Callable:
    """Record the caller's change, in one transaction with it; a refused request is not recorded.

    Goes directly above the function, so that no request body is read within the transaction.

    created -- the member of the result with the new row
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with db.atomic():
                result = view(*args, **kwargs)
                kind, subject_id = _path_subject(kwargs)
                if created and subject_id is None:
                    kind, subject_id = created, _id_of(result[created])
                _record(view, args, subject_kind=kind, subject_id=subject_id)
            return result

        return _declare(wrapper)

    return decorate


def change_by_verb(view: Callable) -> Callable:
    """Pass the entry's columns as `audit_entry` to a view whose verb records it in its own statement."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs, audit_entry=_columns(view, args))

    return _declare(wrapper)


def reading(view: Callable) -> Callable:
    """Record that a reviewer read a candidate's record, before the response is sent."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        if isinstance(caller._get_current_object(), ApiToken):
            kind, subject_id = _path_subject(kwargs)
            _record(view, (), subject_kind=kind, subject_id=subject_id)
        return result

    return _declare(wrapper)


def record_export(action: str) -> None:
    """Record that the caller exports a list of candidates."""
    actor = Actor.of(caller._get_current_object())
    AuditEntry.record(caller.organization_id, action, actor, **_origin())


def record_candidate(key: Any, action: str) -> None:
    """Record what a candidate does with a key from the body, in the transaction of the change."""
    AuditEntry.record(
        key.organization_id,
        action,
        Actor.of(key),
        subject_kind="candidate",
        subject_id=key.id,
        request_id=current_id(),
    )


def _declare(wrapper: Any) -> Any:
    wrapper.is_audited = True
    return wrapper


def _record(view: Callable, args: tuple, **subject: Any) -> None:
    AuditEntry.create(organization=caller.organization_id, **_columns(view, args), **subject)


def _columns(view: Callable, args: tuple) -> dict[str, Any]:
    actor = Actor.of(caller._get_current_object())
    return {
        "action": camel(view.__name__),
        **{f"actor_{name}": value for name, value in actor._asdict().items()},
        "members": sorted(camel(name) for body in args if isinstance(body, dict) for name in body),
        **_origin(),
    }


def _origin() -> dict[str, str | None]:
    # A candidate's address is personal data, which cannot be erased from this log.
    is_reviewer = isinstance(caller._get_current_object(), ApiToken)
    return {"came_from": request.remote_addr if is_reviewer else None, "request_id": current_id()}


def _path_subject(kwargs: dict[str, Any]) -> tuple[str | None, Any]:
    """The kind and id of the last id in the path."""
    ids = [
        (name.removesuffix("_id"), value) for name, value in kwargs.items() if isinstance(value, uuid.UUID)
    ]
    return ids[-1] if ids else (None, None)


def _id_of(row: Any) -> Any:
    return row["id"] if isinstance(row, dict) else row.id
