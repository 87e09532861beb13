"""ETags: `If-None-Match` on reads (304) and `If-Match` on changes (412).

The tag is a hash of the response body, so responses with different fields have different tags. `ignore` leaves out
fields such as counters.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from flask import Response, current_app, make_response, request

from access import raises
from errors import PreconditionFailed
from web.unknown_names import check_read_only

DIGEST_BYTES = 16
_TAGS = {"type": "string", "example": '"5d41402abc4b2a76b9719d911017c592"'}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "schema": _TAGS,
    "description": "One or more `ETag` values from earlier responses. Responds 304 if the object is unchanged.",
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "schema": _TAGS,
    "description": "The `ETag` of the response that the update is based on. Responds 412 if the object has changed.",
}


def with_etag(view: Callable) -> Callable:
    """Set `ETag` on a successful response; respond 304 if `If-None-Match` matches.

    Apply it above `blp.response`, which serializes the body, and above `audit.record_read`, so a 304 is audited too.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        if response.status_code == 200:
            tag = compute_tag(response)
            response.set_etag(tag)
            if "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag):
                response.status_code = 304
                response.set_data(b"")
                response.headers.remove("Content-Type")
                response.headers.remove("Content-Length")
        return response

    return _document(wrapper, IF_NONE_MATCH)


def with_if_match(view: Callable) -> Callable:
    """Set `ETag` on the response to an update, whose body equals the GET's. The view checks `precondition`."""

    @raises(PreconditionFailed)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        response.set_etag(compute_tag(response))
        return response

    return _document(wrapper, IF_MATCH)


def ignore(*names: str) -> Callable:
    """Leave these fields of the object out of the tag. Apply it below the other decorators of this module."""

    def decorate(view: Any) -> Any:
        view.fields_without_tag = names
        return view

    return decorate


def _document(wrapper: Any, parameter: dict[str, Any]) -> Callable:
    wrapper.header_parameters = [parameter]
    wrapper.success_headers = (*getattr(wrapper, "success_headers", ()), "ETag")
    return wrapper


def precondition(represent: Callable[[], Any]) -> Callable[[], None]:
    """Return a check for the model to call after it locks the row. It raises PreconditionFailed or ReadOnlyField.

    represent -- builds the GET's current response or its body
    """

    def check() -> None:
        if "If-Match" in request.headers and not request.if_match.contains(
            compute_tag(make_response(represent()))
        ):
            raise PreconditionFailed()
        check_read_only(lambda: make_response(represent()), _fields_without_tag())

    return check


def _fields_without_tag() -> tuple[str, ...]:
    return getattr(current_app.view_functions[request.endpoint or ""], "fields_without_tag", ())


def compute_tag(response: Response) -> str:
    body = response.get_data()
    if ignored := _fields_without_tag():
        (row,) = orjson.loads(body).values()
        body = orjson.dumps({name: value for name, value in row.items() if name not in ignored})
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
