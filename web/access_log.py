"""Request IDs and the request log.

This is WSGI middleware, not a Flask hook, so it also covers streamed responses and requests that crash the application.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import uuid_utils

from web.log_masking import mask_secrets

SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
IP_ADDRESS = re.compile(r"[0-9A-Fa-f.:\[\]]{2,47}", re.ASCII)
# W3C Trace Context: version, trace ID, parent ID and flags. Versions after 00 can have more fields.
TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?"
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HEADER = "X-Request-Id"

log = logging.getLogger("proofstone.requests")

# Each Flask endpoint's operation ID and OpenAPI path.
Operations = Mapping[str, tuple[str, str]]


class RequestRecord:
    """One request with its ID, caller and response.

    caller -- kind and ID of the credential
    traceparent -- a valid `traceparent` header in the form of version 00
    endpoint -- Flask's endpoint, or None if no route matched
    model_cost -- the organization's ID and the cost of its model call in billionths of a dollar
    milliseconds -- time until the last byte of the response
    """

    def __init__(self, environ: dict[str, Any]):
        self.started = time.perf_counter()
        self.environ = environ
        self.id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.traceparent = _traceparent(environ.get("HTTP_TRACEPARENT", ""))
        self.caller: tuple[str, Any] | None = None
        self.endpoint: str | None = None
        self.is_complete = False
        self.late_events = 0
        self.has_recording_failure = False
        self.has_rejected_stream = False
        self.model_cost: tuple[Any, int] | None = None
        self.has_invalid_credential = False
        self.status = 500
        self.bytes_sent = 0
        self.milliseconds = 0.0

    @property
    def method(self) -> str:
        method = self.environ["REQUEST_METHOD"]
        return method if method in METHODS else "other"

    @property
    def address(self) -> str:
        """The client's IP address, or `unknown` if a trusted proxy sent something else."""
        address = self.environ.get("REMOTE_ADDR") or ""
        return address if IP_ADDRESS.fullmatch(address) else "unknown"


_current: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)


def current_id() -> str | None:
    """Return the current request's ID, or None outside a request."""
    record = _current.get()
    return record.id if record else None


def current_traceparent() -> str | None:
    """Return the current request's trace context, or None."""
    record = _current.get()
    return record.traceparent if record else None


def record_caller(kind: str, row_id: Any) -> None:
    """Record the caller: `reviewer` or `runner` with the token's ID, or `candidate` with the key's ID."""
    if record := _current.get():
        record.caller = (kind, row_id)


def record_late_events(count: int) -> None:
    if record := _current.get():
        record.late_events += count


def record_recording_failure() -> None:
    """Record that a model call's events could not be stored."""
    if record := _current.get():
        record.has_recording_failure = True


def record_rejected_stream() -> None:
    """Record that a model call found no free stream slot."""
    if record := _current.get():
        record.has_rejected_stream = True


def record_model_cost(organization_id: Any, nano_usd: int) -> None:
    if record := _current.get():
        record.model_cost = (organization_id, nano_usd)


def record_invalid_credential() -> None:
    """Record a credential that is invalid and new for its network, or that was sent from a locked network."""
    if record := _current.get():
        record.has_invalid_credential = True


@contextmanager
def outside_application() -> Iterator[str]:
    """Assign an ID to a request that the server rejects before it reaches the application."""
    record = RequestRecord({})
    token = _current.set(record)
    try:
        yield record.id
    finally:
        _current.reset(token)


class LogFields(dict):
    """A structured log message: an object in JSON, `name=value` pairs in text."""

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.items() if value is not None)


class RequestLog:
    """WSGI middleware that adds X-Request-Id to each response and logs each request.

    measure -- called with each finished request and its operation ID
    """

    def __init__(
        self,
        application: Callable,
        operations: Operations,
        measure: Callable[[RequestRecord, str | None], None] | None = None,
    ):
        self.application = application
        self.operations = operations
        self.measure = measure

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        record = RequestRecord(environ)
        _current.set(record)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            record.status = int(status[:3])
            # Read now, because Flask discards the request before the response ends.
            rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
            record.endpoint = rule.endpoint if rule else None
            headers.append((HEADER, record.id))
            return start_response(status, headers, exc_info)

        try:
            return _ResponseBody(self.application(environ, start), record, self._finish)
        except BaseException:
            self._finish(record)
            raise

    def _finish(self, record: RequestRecord) -> None:
        record.milliseconds = (time.perf_counter() - record.started) * 1000
        operation, route = self.operations.get(record.endpoint or "", (None, None))
        fields = LogFields(
            request=record.id,
            trace=record.traceparent and record.traceparent.split("-")[1],
            operation=operation,
            method=record.method,
            route=route,
            status=record.status,
            ms=round(record.milliseconds, 2),
            bytes=record.bytes_sent,
            credential=":".join(map(str, record.caller)) if record.caller else None,
            address=record.address,
        )
        log.info(fields if record.is_complete else LogFields(fields, broken=True))
        if self.measure:
            self.measure(record, operation)
        _current.set(None)


class _ResponseBody:
    """A response body that counts its bytes and logs the request when the server closes it."""

    def __init__(self, body: Any, record: RequestRecord, finish: Callable[[RequestRecord], None]):
        self._body = body
        self._chunks = iter(body)
        self._record = record
        self._finish = finish

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._record.is_complete = True
            raise
        self._record.bytes_sent += len(chunk)
        return chunk

    def close(self) -> None:
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._finish(self._record)


def _traceparent(header: str) -> str | None:
    match = TRACEPARENT.fullmatch(header)
    return match and f"00{match[1]}"


def _request_id(header: str | None) -> str:
    """Return the ID from the proxy or client if it is safe to log, otherwise a new one."""
    if header and SAFE_REQUEST_ID.fullmatch(header) and mask_secrets(header) == header:
        return header
    return str(uuid_utils.uuid7())
