"""Audit entries of requests: action, author, subject, origin and request id (models/ledger/audit.py)."""

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


def change(created: str | None = None, prepare: Callable | None = None) -> Callable:
    """Record the caller's change, in one transaction with it; a rejected request is not recorded.

    Goes directly above the function, so that no request body is read within the transaction.

    created -- the field of the result with the new row
    prepare -- called with the ids in the path before the transaction, for slow work; its result is the view's argument
        `prepared`
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            prepared = {"prepared": prepare(**kwargs)} if prepare else {}
            with db.atomic():
                result = view(*args, **kwargs, **prepared)
                subject = _subject(created, result[created].id) if created else _path_subject(kwargs)
                AuditEntry.create(organization=caller.organization_id, **_columns(view), **subject)
            return result

        return _audited(wrapper)

    return decorate


def change_by_verb(view: Callable) -> Callable:
    """Pass the entry's columns as `audit_entry` to a view whose verb records it in its own statement."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs, audit_entry=_columns(view))

    return _audited(wrapper)


def reading(view: Callable) -> Callable:
    """Record that a reviewer read a candidate's record, before the response is sent."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        if isinstance(caller, ApiToken):
            AuditEntry.create(organization=caller.organization_id, **_columns(view), **_path_subject(kwargs))
        return result

    return _audited(wrapper)


def record_candidate(key: Any, action: str) -> None:
    """Record a candidate's action, in the transaction of its change; the key may come from the body."""
    subject = _subject("candidate", key.id)
    AuditEntry.record(key.organization_id, action, Actor.of(key), **subject, request_id=current_id())


def _audited(wrapper: Any) -> Any:
    wrapper.is_audited = True
    return wrapper


def _columns(view: Callable) -> dict[str, Any]:
    return {
        "action": camel(view.__name__),
        **{f"actor_{name}": value for name, value in Actor.of(caller)._asdict().items()},
        "body_fields": known_fields(),
        **origin(),
    }


def origin() -> dict[str, Any]:
    """The columns of where the request came from."""
    # A candidate's address is personal data, which cannot be erased from this log.
    address = None if isinstance(g.get("caller"), CandidateKey) else request.remote_addr
    return {"came_from": address, "request_id": current_id()}


def _path_subject(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The last id in the path."""
    ids = [(name, value) for name, value in kwargs.items() if isinstance(value, uuid.UUID)]
    return _subject(ids[-1][0].removesuffix("_id"), ids[-1][1]) if ids else {}


def _subject(kind: str, row_id: Any) -> dict[str, Any]:
    return {"subject_kind": kind, "subject_id": row_id}
