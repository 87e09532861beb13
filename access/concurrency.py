"""Limit the expensive requests that one process serves at the same time, in total and for each credential.

A large body takes up to 150 MiB while it is parsed and stored. Reading a large session can take as much, and many
seconds.
"""

import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Flask, current_app, make_response, request

from access import caller, raises
from errors import ApiError, TooManyRequests
from models import CandidateKey, Session
from models.database import release_connection
from web.json import MAX_BODY_BYTES

LARGE_BODY, LONG_READ = "large body", "long read"
# For each kind. More would take more memory, but no less time: Python runs one thread at a time.
MAX_PLACES = 2
WAIT_SECONDS = 10
RETRY_SECONDS = 5
EXTENSION = "expensive_requests"


class ExpensiveRequests:
    """At most `places` requests of each kind at the same time, and one of each credential.

    Further requests wait in their threads: at most `max_waiting`, and one of each credential.
    """

    def __init__(self, places: int, max_waiting: int) -> None:
        self._places, self._max_waiting = places, max_waiting
        self._running: dict[Any, str] = {}  # the kind of request, by credential
        self._waiting: set[Any] = set()
        self._finished = threading.Condition()

    def start(self, kind: str, credential: Any) -> Callable[[], None]:
        """Wait for a place; return the function that releases it. Raises TooManyRequests."""
        with self._finished:
            if not self._has_place(kind, credential):
                self._wait(kind, credential)
            self._running[credential] = kind
        return partial(self._finish, credential)

    def _has_place(self, kind: str, credential: Any) -> bool:
        is_full = list(self._running.values()).count(kind) >= self._places
        return not is_full and credential not in self._running

    def _wait(self, kind: str, credential: Any) -> None:
        if credential in self._waiting or len(self._waiting) >= self._max_waiting:
            raise _error()
        self._waiting.add(credential)
        try:
            if not self._finished.wait_for(lambda: self._has_place(kind, credential), WAIT_SECONDS):
                raise _error()
        finally:
            self._waiting.remove(credential)

    def _finish(self, credential: Any) -> None:
        with self._finished:
            del self._running[credential]
            self._finished.notify_all()


def _error() -> ApiError:
    sentence = f"Too many expensive requests at the same time. Retry after {RETRY_SECONDS} seconds."
    return TooManyRequests(sentence, retry_after=RETRY_SECONDS)


def register(app: Flask) -> None:
    """Use at most a quarter of the threads for each kind of request, and another one for those that wait."""
    quarter = max(1, app.config["WEB_THREADS"] // 4)
    app.extensions[EXTENSION] = ExpensiveRequests(min(MAX_PLACES, quarter), max_waiting=quarter)


def limited(kind: str, applies: Callable[..., bool]) -> Callable:
    """Limit those requests of an operation to which the limit applies. Goes below the authentication.

    applies -- gets the path's parameters
    """

    def decorate(view: Callable) -> Callable:
        @raises(TooManyRequests)
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not applies(**kwargs):
                return view(*args, **kwargs)
            release_connection()
            finish = current_app.extensions[EXTENSION].start(kind, caller.id)
            try:
                response = make_response(view(*args, **kwargs))
            except BaseException:
                finish()
                raise
            response.call_on_close(finish)
            return response

        return wrapper

    return decorate


def _has_large_body(**path: Any) -> bool:
    """Return whether the request's body has more than 1 MiB, or an unknown size."""
    return request.content_length is None or request.content_length > MAX_BODY_BYTES


def reads_large_session(session_id: Any = None, **path: Any) -> bool:
    """Return whether the path's session, or the candidate's own, is larger than ordinary ones."""
    if isinstance(caller, CandidateKey):
        return Session.is_large(Session.key == caller.id)
    return Session.is_large(Session.id == session_id)


long_read = limited(LONG_READ, reads_large_session)
large_body = limited(LARGE_BODY, _has_large_body)
