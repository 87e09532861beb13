"""Endpoints, one module a resource; here what they share: Blueprint, the id converter, find() and the pager."""

import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

import flask_smorest
from flask import current_app
from werkzeug.routing import BaseConverter

import schemas
from access.auth import caller
from blueprints import operations
from errors import NotFound, Refusal
from models import ApiToken, CandidateKey, Session, db
from models.compiled import Compiled, Parameter
from web.json import Parser


class IdConverter(BaseConverter):
    """Any segment of a path: its UUID, or None, which find() turns into the one 404 after everybody had to say who
    they are (R2)."""

    def to_python(self, value: str) -> uuid.UUID | None:
        return schemas.parse_id(value)


# Callers whose ids are known only when a look-up runs.
STAND_INS: dict[type, Any] = {
    ApiToken: ApiToken(organization=Parameter("organization_id", ApiToken.organization)),
    CandidateKey: CandidateKey(
        id=Parameter("id", CandidateKey.id), assessment=Parameter("assessment_id", CandidateKey.assessment)
    ),
}


def find(model: Any, row_id: uuid.UUID | None, visible: Callable | None = None) -> Any:
    """The row, if the caller may see it; NotFound otherwise, whatever the reason.

    visible -- instead of `model.visible_to`; of the caller it may use the kind and the ids of STAND_INS
    """
    if row_id is None:
        raise NotFound()
    ids = {name: getattr(caller, name, None) for name in ("id", "organization_id", "assessment_id")}
    return or_not_found(
        _look_up(model, visible or model.visible_to, caller.__class__).first(row_id=row_id, **ids)
    )


@cache
def _look_up(model: Any, visible: Callable, kind: type) -> Compiled:
    """Compiled, since to build it anew takes three times as long as to run it."""
    return Compiled(lambda: visible(STAND_INS[kind]).where(model.id == Parameter("row_id", model.id)))


def find_among(query: Any, row_id: uuid.UUID | None) -> Any:
    """The row of a query over what the caller may see; NotFound otherwise."""
    return or_not_found(query.where(query.model.id == row_id).get_or_none())


def or_not_found(row: Any) -> Any:
    """What was looked for; NotFound where that is None."""
    if row is None:
        raise NotFound()
    return row


def require_own(session: Session, named: str) -> None:
    """NotFound where another session is named than the credential's own (R29)."""
    if schemas.parse_id(named) != session.id:
        raise NotFound()


def page(
    noun: str, query: Any, limit: int, offset: int, shown: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """A part of an ordered query, as `{<noun>, total, limit, offset}`.

    `shown` makes of the part's query the one whose rows are shown; without it that is the part itself.
    """
    part = query.limit(limit).offset(offset)
    return {
        noun: list(shown(part) if shown else part),
        "total": query.order_by().count(),
        "limit": limit,
        "offset": offset,
    }


def refuses(*refusals: type[Refusal]) -> Callable:
    """Document refusals of the work itself; those of the decorators and the path document themselves."""

    def decorate(view: Any) -> Any:
        view.refusals = (*getattr(view, "refusals", ()), *refusals)
        return view

    return decorate


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's, with our parser, and with every refusal of an operation written into its documentation."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Before those of flask-smorest, which write what the notes say by then.
        self._prepare_doc_cbks.insert(0, operations.complete)

    def arguments(self, schema: Any, **options: Any) -> Any:
        """flask-smorest's, with one instance of the schema: webargs would make one for each request, a tenth of it."""
        return super().arguments(schema() if isinstance(schema, type) else schema, **options)

    def add_url_rule(
        self, rule: str, endpoint: Any = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        if view_func is not None:
            view_func._apidoc = getattr(view_func, "_apidoc", {}) | {"view": view_func, "rule": rule}
        super().add_url_rule(rule, endpoint, view_func, *args, **options)


def store() -> Any:
    """Where bundles of code lie (storage/)."""
    return current_app.extensions["storage"]


def setting(name: str) -> Any:
    return current_app.config[name]


def give_back_connection() -> None:
    """Let go of the database before what takes long, since there are fewer connections than threads; the next query
    takes one anew."""
    database = db.obj
    # A test may hold a transaction around the request, and has its connection still to use.
    if not database.is_closed() and not database.in_transaction():
        database.close()


__all__ = [
    "Blueprint",
    "IdConverter",
    "find",
    "find_among",
    "give_back_connection",
    "or_not_found",
    "page",
    "refuses",
    "require_own",
    "setting",
    "store",
]
