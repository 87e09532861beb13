"""Doing it twice: a request with an `Idempotency-Key` is done once, and answered again with its first answer."""

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
from web.json import whole_body

HEADER = "Idempotency-Key"
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
SECRET = "secret"
NOTE = "The secret was shown in the first answer only; it is not stored and cannot be shown again."
PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": (
        "A key of your own for this request, such as a UUID. For 24 hours the same request with the same key is "
        "done once: again it gets the first answer, with the header `Idempotent-Replayed: true` and without a "
        "secret. What is refused is not kept."
    ),
}


def idempotent(view: Callable) -> Callable:
    """Do the request once for each `Idempotency-Key` of the caller; without the header nothing changes.

    The view's work and the stored answer are one transaction. Stands right below `auth.required`: who did it once
    gets the first answer, even where new work would be refused by now.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **kwargs)
        if not WELL_FORMED.fullmatch(key):
            raise invalid(HEADER, "Must be 1 to 255 visible ASCII characters.")
        # Read before the transaction begins: a slow client must keep no lock.
        with IdempotentRequest.turn(caller, key, _digest()) as turn:
            if turn.answer is not None:
                return _again(turn)
            response = make_response(view(*args, **kwargs))
            turn.keep(response.status_code, _without_secret(response.get_data()).decode())
            return response

    wrapper.refusals = (*getattr(view, "refusals", ()), Invalid, InProgress, KeyReused)  # type: ignore[attr-defined]
    wrapper.is_idempotent = True  # type: ignore[attr-defined]
    return wrapper


def _digest() -> str:
    line = f"{request.method} {request.path}\n"
    return hashlib.sha256(line.encode() + whole_body(request)).hexdigest()


def _again(turn: IdempotentRequest) -> Response:
    response = Response(turn.answer, turn.status, mimetype="application/json")
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _without_secret(body: bytes) -> bytes:
    """The body as it is stored: a secret stands beside the new row, or in it."""
    answer = orjson.loads(body)
    shown = [part for part in (answer, *answer.values()) if isinstance(part, dict) and part.get(SECRET)]
    for part in shown:
        part[SECRET] = None
    return orjson.dumps(answer | {"note": NOTE}) if shown else body
