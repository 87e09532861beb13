"""Each request's id, and its one line in the log once it has been answered.

A WSGI layer around the application rather than hooks inside of it: so it sees every answer, also those that are
streamed, and those that the application fails to give.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import uuid_utils

from web.log_masking import masked

HARMLESS_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
PLAIN_ADDRESS = re.compile(r"[0-9A-Fa-f.:\[\]]{2,47}", re.ASCII)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HEADER = "X-Request-Id"

log = logging.getLogger("proofstone.requests")

# An endpoint's operation and its route, as callers read both.
Operations = Mapping[str, tuple[str, str]]


class Served:
    """What is known of one request: from its beginning, and more while it is served.

    `caller` is the kind of the credential and its row's id; `endpoint` is Flask's name of what answers, None where no
    route matched. `milliseconds` end with the last byte of the answer; `is_whole` tells whether all of it went out.
    """

    __slots__ = (
        "began", "caller", "endpoint", "environ", "id", "is_whole", "late_events", "milliseconds", "sent", "status",
    )  # fmt: skip

    def __init__(self, environ: dict[str, Any]):
        self.began = time.perf_counter()
        self.environ = environ
        self.id = _id_of(environ.get("HTTP_X_REQUEST_ID"))
        self.caller: tuple[str, Any] | None = None
        self.endpoint: str | None = None
        self.is_whole = False
        self.late_events = 0
        self.status = 500
        self.sent = 0
        self.milliseconds = 0.0

    @property
    def method(self) -> str:
        method = self.environ["REQUEST_METHOD"]
        return method if method in METHODS else "other"

    @property
    def address(self) -> str:
        """The client's, as TRUSTED_PROXIES tells it; `unknown` where a proxy in front has written something else."""
        address = self.environ.get("REMOTE_ADDR") or ""
        return address if PLAIN_ADDRESS.fullmatch(address) else "unknown"


_served: ContextVar[Served | None] = ContextVar("served", default=None)


def current_id() -> str | None:
    """The id of the request that is being served here; None outside of one."""
    served = _served.get()
    return served.id if served else None


def note_caller(kind: str, row_id: Any) -> None:
    """Who calls, by what is public: `reviewer` with the token's id, `candidate` with the key's."""
    if served := _served.get():
        served.caller = (kind, row_id)


def note_late_events(count: int) -> None:
    if count and (served := _served.get()):
        served.late_events += count


@contextmanager
def outside_the_application() -> Iterator[str]:
    """An id for a request that the server itself refuses: for its answer, and for the lines written inside."""
    served = Served({})
    token = _served.set(served)
    try:
        yield served.id
    finally:
        _served.reset(token)


class Facts(dict):
    """A line of the log that consists of members: a program reads them as JSON, a person as `name=value`."""

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.items() if value is not None)


class RequestLog:
    """A WSGI application that gives each answer its X-Request-Id and each request its line.

    operations -- see Operations
    measure -- called with each request once it is answered, and its operation
    """

    def __init__(
        self,
        application: Callable,
        operations: Operations,
        measure: Callable[[Served, str | None], None] | None = None,
    ):
        self.application = application
        self.operations = operations
        self.measure = measure

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        served = Served(environ)
        _served.set(served)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            served.status = int(status[:3])
            served.endpoint = _endpoint(environ)
            headers.append((HEADER, served.id))
            return start_response(status, headers, exc_info)

        try:
            return _Answer(self.application(environ, start), served, self._finish)
        except BaseException:
            self._finish(served)
            raise

    def _finish(self, served: Served) -> None:
        served.milliseconds = (time.perf_counter() - served.began) * 1000
        operation, route = self.operations.get(served.endpoint or "", (None, None))
        if log.isEnabledFor(logging.INFO):
            _write(_facts(served, operation, route))
        if self.measure:
            self.measure(served, operation)


class _Answer:
    """An answer on its way out; finished when its last piece is asked for, or its connection ends."""

    __slots__ = ("_body", "_finish", "_is_finished", "_pieces", "_served")

    def __init__(self, body: Any, served: Served, finish: Callable[[Served], None]):
        self._body = body
        self._pieces = iter(body)
        self._served = served
        self._finish = finish
        self._is_finished = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._served.is_whole = True
            self._end()
            raise
        except Exception:
            self._end()
            raise
        self._served.sent += len(piece)
        return piece

    def close(self) -> None:
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._end()
            # The thread's next line belongs to no request, until the next one begins.
            _served.set(None)

    def _end(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            self._finish(self._served)


def _id_of(given: str | None) -> str:
    """The id that a proxy or a client gave, if it is harmless in logs; or one of our own."""
    if given and HARMLESS_ID.fullmatch(given) and masked(given) == given:
        return given
    return str(uuid_utils.uuid7())


def _endpoint(environ: dict[str, Any]) -> str | None:
    """What answers; asked when the answer begins, since Flask lets go of the request before its end."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return rule.endpoint if rule else None


def _facts(served: Served, operation: str | None, route: str | None) -> Facts:
    caller = served.caller
    facts = Facts(
        request=served.id,
        operation=operation,
        method=served.method,
        route=route,
        status=served.status,
        ms=round(served.milliseconds, 2),
        bytes=served.sent,
        credential=f"{caller[0]}:{caller[1]}" if caller else None,
        address=served.address,
    )
    return facts if served.is_whole else Facts(facts, broken=True)


def _write(facts: Facts) -> None:
    """As `log.info(facts)`, without a search for the line of code that calls, which takes longer than the rest."""
    log.handle(logging.LogRecord(log.name, logging.INFO, "", 0, facts, (), None))
