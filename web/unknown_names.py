"""Reject or report unknown query parameters and body fields (R35).

Reviewers' operations reject them. The specification's operations ignore them and list them in `X-Ignored`. Candidates'
operations ignore them. An update can contain the object's read-only fields with their current values.
"""

import re
from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

import marshmallow as ma
from flask import Response, g, request

from errors import Invalid, ReadOnlyField, UnknownParameter
from rules.candidate_keys import MASKED
from rules.plain_text import one_line

HEADER = "X-Ignored"
MAX_REPORTED = 20
MAX_REJECTED = 100
MAX_NAMED = 10
MAX_NAME_CHARACTERS = 100
DOCUMENTATION = {
    "schema": {"type": "string"},
    "description": f"Names of ignored query parameters and fields, at most {MAX_REPORTED}, separated by commas.",
    "example": "taskBrif, brief.codebase.stak",
}
_REPORTABLE = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def check_query(known: Collection[str], is_reported: bool) -> None:
    """Report unknown query parameters, or raise UnknownParameter. Sets the mode for `check_body`."""
    g.reports_ignored_fields = is_reported
    names = [name for name in _parameters() if name not in known][:MAX_REJECTED]
    if is_reported:
        _report(names)
    elif names:
        messages = (
            f"Unknown query parameter `{one_line(name, MAX_NAME_CHARACTERS)}`. {_nearest(name, known)}"
            for name in names[:MAX_NAMED]
        )
        raise UnknownParameter(" ".join(messages))


def check_body(schema: ma.Schema, body: dict) -> None:
    """Report unknown fields, including nested ones, or raise Invalid."""
    g.body_schema = schema
    is_reported = g.get("reports_ignored_fields")
    if is_reported is None:
        return
    unknown = list(islice(_unknown_fields(schema, body, []), MAX_REJECTED))
    if is_reported:
        _report([".".join(map(str, path)) for path, _ in unknown])
        return
    response_fields = getattr(schema, "response_fields", {})
    rejected = [(path, known) for path, known in unknown if len(path) > 1 or path[0] not in response_fields]
    if rejected:
        raise Invalid(details=[_detail(path, known) for path, known in rejected])
    if getattr(schema, "is_update", False):
        names = [path[0] for path, _ in unknown if response_fields[path[0]]]
        g.read_only_values = {name: body[name] for name in names if body[name] != MASKED}


def check_read_only(represent: Callable[[], Response], ignored: Collection[str] = ()) -> None:
    """Raise ReadOnlyField if an update changes the value of a read-only field.

    represent -- builds the object's response before the update
    ignored -- names of fields that can have changed since the client read the object
    """
    if not (values := g.get("read_only_values")):
        return
    current = next(iter(represent().get_json().values()))
    if changed := [name for name, value in values.items() if value != current[name] and name not in ignored]:
        names = ", ".join(f"`{name}`" for name in changed)
        details = [{"path": [name], "message": "Read-only."} for name in changed]
        raise ReadOnlyField(f"This request cannot change {names}. Omit read-only fields.", details=details)


def reject_fields(body: dict) -> None:
    """Raise Invalid if the body has any fields."""
    if body:
        raise Invalid(details=[_detail([name], ()) for name in islice(body, MAX_REJECTED)])


def known_fields() -> list[str]:
    """Return the names of known fields in the request's body, sorted."""
    schema = g.get("body_schema")
    return sorted(g.body.keys() & get_field_names(schema)) if schema else []


def set_header(response: Response) -> Response:
    """Set X-Ignored if any names were ignored."""
    if names := g.get("ignored_names"):
        response.headers[HEADER] = ", ".join(names[:MAX_REPORTED])
    return response


def get_field_names(schema: ma.Schema) -> list[str]:
    """Return the field names that a schema accepts."""
    return [str(field.data_key) for field in schema.load_fields.values()]


def _parameters() -> Collection[str]:
    if not request.environ.get("QUERY_STRING"):
        return ()
    try:
        return request.args
    except UnicodeDecodeError:
        return ()  # The parser rejects the query if the operation has parameters.


def _report(names: list[str]) -> None:
    # A body can be read twice (access/idempotency.py).
    g.ignored_names = list(
        dict.fromkeys([*g.get("ignored_names", ()), *filter(_REPORTABLE.fullmatch, names)])
    )


def _unknown_fields(schema: ma.Schema, body: Any, path: list) -> Iterator[tuple[list, list[str]]]:
    """Yield each unknown field's path, and the known names on its level."""
    if not isinstance(body, dict):
        return
    fields = {str(field.data_key): field for field in schema.load_fields.values()}
    for name, value in body.items():
        if name in fields:
            yield from _unknown_inside(fields[name], value, [*path, name])
        else:
            yield [*path, name], list(fields)


def _unknown_inside(field: ma.fields.Field, value: Any, path: list) -> Iterator[tuple[list, list[str]]]:
    if isinstance(field, ma.fields.Nested):
        yield from _unknown_fields(field.schema, value, path)
    elif isinstance(field, ma.fields.List) and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unknown_inside(field.inner, entry, [*path, index])


def _detail(path: list, known: Collection[str]) -> dict[str, Any]:
    *parents, name = path
    name = name[:MAX_NAME_CHARACTERS]
    return {"path": [*parents, name], "message": f"Unknown field. {_nearest(name, known)}"}


def _nearest(name: str, known: Collection[str]) -> str:
    nearest = get_close_matches(name[:MAX_NAME_CHARACTERS], known, 1, 0)
    return f"Did you mean `{nearest[0]}`?" if nearest else "This operation accepts none."
