"""Idempotent requests: a repeated `Idempotency-Key` replays the first response."""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from flask import Response, g, make_response, request

from access import caller, raises
from errors import InProgress, Invalid, KeyReused, invalid
from models import IdempotentRequest
from web.json import Parser, read_body
from web.unknown_names import check_body

HEADER = "Idempotency-Key"
KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")
NOTE = "The secret was shown in the first response only. It is not stored and cannot be shown again."
PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": (
        "A unique key for this request, such as a UUID. For 24 hours, repeating the request with this key replays the "
        "first response, with the header `Idempotent-Replayed: true` and without its secret. Errors are not stored."
    ),
}

_parser = Parser()


def idempotent(view: Any) -> Callable:
    """Run a request once for each of the caller's `Idempotency-Key` values; the header is optional.

    The change and the response are stored in one transaction. Apply it above the checks of the request, so a replay
    succeeds even if the request would now be rejected.
    """

    @raises(Invalid, InProgress, KeyReused)
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **kwargs)
        if not KEY_PATTERN.fullmatch(key):
            raise invalid(HEADER, "Must be 1 to 255 visible ASCII characters.")
        # Read before the transaction starts: a slow client must not hold a lock.
        body = read_body(request)
        content = f"{request.method} {request.path}\n".encode() + body
        digest = hashlib.sha256(content).hexdigest()
        with IdempotentRequest.claim(caller, key, request.path, digest) as first:
            if first.answer is not None:
                if g.get("reports_ignored_fields"):
                    check_body(view.arguments["json"], orjson.loads(body))
                headers = {"Idempotent-Replayed": "true"}
                return Response(first.answer, first.status, headers, mimetype="application/json")
            response = make_response(view(*args, **kwargs))
            first.store(response.status_code, _without_secret(response.get_data()).decode())
            return response

    wrapper.is_idempotent = True  # type: ignore[attr-defined]
    return wrapper


def before_transaction(call: Callable, body: Any = None) -> Callable:
    """Do slow work before the view's transaction, and pass the result to the view as `prepared`.

    Apply it above `idempotent`. The work would otherwise block all other changes on SQLite, and a failure would roll it
    back. A replay does nothing.

    body -- the schema of the body, which `call` receives before the path's ids
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(**ids: Any) -> Any:
            if is_replay():
                return view(**ids, prepared=None)
            arguments = []
            if body:
                read_body(request)  # and keep it for `idempotent` and the view
                arguments.append(_parser.parse(body, request))
            return view(**ids, prepared=call(*arguments, **ids))

        return wrapper

    return decorate


def is_replay() -> bool:
    """Return whether `idempotent` will replay or reject the request instead of running it."""
    key = request.headers.get(HEADER)
    return key is not None and IdempotentRequest.has_response(caller, key)


def _without_secret(body: bytes) -> bytes:
    """Return the body with a note instead of the secret."""
    response = orjson.loads(body)
    if "secret" not in response:
        return body
    del response["secret"]
    return orjson.dumps(response | {"note": NOTE})
