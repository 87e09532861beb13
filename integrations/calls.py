"""Calls to other systems within a request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import request

from access.idempotency import is_replay
from integrations.adapter import CallFailed
from integrations.errors import SystemFailed
from web.json import Parser, read_body

_parser = Parser()


@contextmanager
def system_calls() -> Iterator[None]:
    """Raise SystemFailed if a call fails."""
    try:
        yield
    except CallFailed as error:
        raise SystemFailed(error.message) from None


def before_transaction(call: Callable, body: Any = None) -> Callable:
    """Call a system before the view's transaction, and pass the result to the view as `prepared`.

    Apply it above `idempotent`. A slow system would otherwise block all other changes on SQLite, and a failure would
    roll back the call's statistics. A replay calls nothing.

    body -- the schema of the body, which `call` receives before the path's ids
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(**ids: Any) -> Any:
            arguments = []
            if body:
                read_body(request)  # and keep it for `idempotent` and the view
                arguments.append(_parser.parse(body, request))
            if is_replay():
                return view(**ids, prepared=None)
            return view(**ids, prepared=call(*arguments, **ids))

        return wrapper

    return decorate
