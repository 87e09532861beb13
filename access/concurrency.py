"""Limit concurrent expensive requests, per process and per credential.

Parsing and storing a large body takes up to 150 MiB. Reading a large session can take as much memory and many seconds.
"""

import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Flask, current_app, make_response, request

import config
from access import caller, raises
from errors import ApiError, TooManyRequests
from models import CandidateKey, Session
from models.database import release_connection
from web.json import MAX_BODY_BYTES

LARGE_BODY, LONG_READ, CLONE = "large body", "long read", "clone"
# Per kind. More slots would use more memory but save no time, because Python runs one thread at a time.
MAX_SLOTS = 2
WAIT_SECONDS = 10
RETRY_SECONDS = 5
EXTENSION, CLONES = "expensive_requests", "clones"


class ExpensiveRequests:
    """Runs up to `slots` requests of each kind concurrently, and one per credential.

    Up to `max_waiting` more requests wait in their threads, one per credential.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self._slots, self._max_waiting = slots, max_waiting
        self._running: dict[Any, str] = {}  # request kind by credential
        self._waiting: set[Any] = set()
        self._finished = threading.Condition()

    def start(self, kind: str, credential: Any) -> Callable[[], None]:
        """Wait for a slot and return a function that releases it. Raises TooManyRequests."""
        with self._finished:
            if not self._is_free(kind, credential):
                self._wait(kind, credential)
            self._running[credential] = kind
        return partial(self._finish, credential)

    def _is_free(self, kind: str, credential: Any) -> bool:
        is_full = list(self._running.values()).count(kind) >= self._slots
        return not is_full and credential not in self._running

    def _wait(self, kind: str, credential: Any) -> None:
        if credential in self._waiting or len(self._waiting) >= self._max_waiting:
            raise _error()
        self._waiting.add(credential)
        try:
            if not self._finished.wait_for(lambda: self._is_free(kind, credential), WAIT_SECONDS):
                raise _error()
        finally:
            self._waiting.remove(credential)

    def _finish(self, credential: Any) -> None:
        with self._finished:
            del self._running[credential]
            self._finished.notify_all()


def _error() -> ApiError:
    message = f"Too many expensive requests are in progress. Retry after {RETRY_SECONDS} seconds."
    return TooManyRequests(message, retry_after=RETRY_SECONDS)


def register(app: Flask) -> None:
    """Allow each kind a quarter of the threads without model calls, and waiting requests another quarter.

    Clones take little memory. A quarter of all threads leaves enough for others while clients read slowly.
    """
    quarter = max(1, config.other_threads(app.config) // 4)
    app.extensions[EXTENSION] = ExpensiveRequests(min(MAX_SLOTS, quarter), max_waiting=quarter)
    app.extensions[CLONES] = ExpensiveRequests(max(1, app.config["WEB_THREADS"] // 4), max_waiting=quarter)


def limit(
    kind: str,
    applies: Callable[..., bool],
    credential: Callable[..., Any] = lambda **path: caller.id,
    extension: str = EXTENSION,
) -> Callable:
    """Limit an operation's expensive requests. Apply it below `auth.required`.

    applies, credential -- return whether a request is expensive, and its credential, given the path's parameters
    """

    def decorate(view: Callable) -> Callable:
        @raises(TooManyRequests)
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not applies(**kwargs):
                return view(*args, **kwargs)
            release_connection()
            finish = current_app.extensions[extension].start(kind, credential(**kwargs))
            try:
                response = make_response(view(*args, **kwargs))
            except BaseException:
                finish()
                raise
            response.call_on_close(finish)
            return response

        return wrapper

    return decorate


def has_large_body(**path: Any) -> bool:
    """Return whether the request's body is larger than 1 MiB or of unknown size."""
    return request.content_length is None or request.content_length > MAX_BODY_BYTES


def reads_large_session(session_id: Any = None, candidate_id: Any = None, **path: Any) -> bool:
    """Return whether the session or candidate in the path, or the calling candidate, has an unusually large session."""
    if isinstance(caller, CandidateKey):
        return Session.is_large(Session.key == caller.id)
    if candidate_id is not None:
        return Session.is_large(Session.key == candidate_id)
    return Session.is_large(Session.id == session_id)


long_read = limit(LONG_READ, reads_large_session)
large_body = limit(LARGE_BODY, has_large_body)
clone = limit(CLONE, lambda **path: True, lambda repository_token: repository_token, CLONES)
