"""Idempotent requests: a repeated `Idempotency-Key` replays the first response."""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from flask import Response, make_response, request

from access.auth import caller
from errors import InProgress, Invalid, KeyReused, invalid
from models import IdempotentRequest
from web.json import read_body

HEADER = "Idempotency-Key"
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
SECRET = "secret"
NOTE = "The secret was shown in the first response only. It is not stored and cannot be shown again."
PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": (
        "A key of your own for this request, such as a UUID. For 24 hours the same request with the same key runs "
        "once: repeating it replays the first response, with the header `Idempotent-Replayed: true` and without a "
        "secret. Refusals are not stored."
    ),
}


def idempotent(view: Callable) -> Callable:
    """Run a request once for each `Idempotency-Key` of the caller; without the header nothing changes.

    The view's work and the stored response are one transaction. Goes directly below `auth.required`: a replay
    succeeds even where new work would be refused by now.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **kwargs)
        if not WELL_FORMED.fullmatch(key):
            raise invalid(HEADER, "Must be 1 to 255 visible ASCII characters.")
        # The body is read before the transaction starts: a slow client must not hold a lock.
        with IdempotentRequest.claim(caller, key, _digest()) as first:
            if first.answer is not None:
                return _replay(first)
            response = make_response(view(*args, **kwargs))
            first.store(response.status_code, _without_secret(response.get_data()).decode())
            return response

    wrapper.refusals = (*getattr(view, "refusals", ()), Invalid, InProgress, KeyReused)  # type: ignore[attr-defined]
    wrapper.is_idempotent = True  # type: ignore[attr-defined]
    return wrapper


def _digest() -> str:
    line = f"{request.method} {request.path}\n"
    return hashlib.sha256(line.encode() + read_body(request)).hexdigest()


def _replay(first: IdempotentRequest) -> Response:
    response = Response(first.answer, first.status, mimetype="application/json")
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _without_secret(body: bytes) -> bytes:
    """The body to store: a secret is a member of the response, or of the new row in it."""
    response = orjson.loads(body)
    with_secret = [
        part for part in (response, *response.values()) if isinstance(part, dict) and part.get(SECRET)
    ]
    for part in with_secret:
        part[SECRET] = None
    return orjson.dumps(response | {"note": NOTE}) if with_secret else body
