"""The audit log's side of a request: who did it, from where, by which request (models/audit.py)."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request

from access.auth import caller
from models import ApiToken, db
from models.audit import Actor, AuditEntry
from schemas import camel
from web.access_log import current_id


def change(made: str | None = None) -> Callable:
    """Note that the caller makes a change, in the transaction of the change itself; what is refused is not noted.

    Stands right above the function, so that nothing is read from the network inside of the transaction.

    made -- the member of the answer that came of it: a row, or a list of rows
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with db.atomic():
                answer = view(*args, **kwargs)
                _note(view, args, kwargs, _ids(answer[made]) if made else [], made)
            return answer

        wrapper.audited = True  # type: ignore[attr-defined]
        return wrapper

    return decorate


def reading(view: Callable) -> Callable:
    """Note that a reviewer reads what is held of a candidate, before the answer leaves."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        answer = view(*args, **kwargs)
        if isinstance(caller._get_current_object(), ApiToken):
            _note(view, (), kwargs, [], None)
        return answer

    wrapper.audited = True  # type: ignore[attr-defined]
    return wrapper


def note_export(action: str) -> None:
    """Note that the caller takes a list of candidates along as a file."""
    AuditEntry.note(
        caller.organization_id,
        action,
        Actor.of(caller._get_current_object()),
        came_from=request.remote_addr,
        request_id=current_id(),
    )


def note_candidate(key: Any, action: str) -> None:
    """Note what a candidate does by a key that stands in the body or that the work names, in the work's transaction."""
    AuditEntry.note(
        key.organization_id,
        action,
        Actor.of(key),
        subject_kind="candidate",
        subject_id=key.id,
        request_id=current_id(),
    )


def _note(view: Callable, args: tuple, kwargs: dict[str, Any], made: list[Any], noun: str | None) -> None:
    who = caller._get_current_object()
    kind, subject_id = _subject(kwargs, made, noun)
    AuditEntry.note(
        who.organization_id,
        camel(view.__name__),
        Actor.of(who),
        subject_kind=kind,
        subject_id=subject_id,
        further_ids=[each for each in made if each != subject_id],
        members=sorted(camel(name) for body in args if isinstance(body, dict) for name in body),
        # A candidate's address would be data of a person, in a log from which nothing can be erased.
        came_from=request.remote_addr if isinstance(who, ApiToken) else None,
        request_id=current_id(),
    )


def _subject(kwargs: dict[str, Any], made: list[Any], noun: str | None) -> tuple[str | None, Any]:
    """What stands last in the path, or what came of it."""
    in_path = [(name, value) for name, value in kwargs.items() if isinstance(value, uuid.UUID)]
    if in_path:
        name, value = in_path[-1]
        return name.removesuffix("_id"), value
    return (noun, made[0]) if made else (None, None)


def _ids(made: Any) -> list[Any]:
    rows = made if isinstance(made, list) else [made]
    return [row["id"] if isinstance(row, dict) else row.id for row in rows]
