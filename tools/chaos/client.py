"""HTTP client that generates the load and tracks unknown outcomes."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.live.client import CONNECTION_ERRORS, Response, call

TIMEOUT_SECONDS = 60
RETRY_SECONDS = 0.02
SUCCESS = (200, 201, 202)

Headers = dict[str, str]


class Violation(Exception):
    """The service broke a guarantee."""


class Outages:
    """Periods in which the database was down."""

    def __init__(self) -> None:
        self.periods: list[list[float]] = []

    @contextmanager
    def record(self) -> Iterator[None]:
        period = [time.monotonic(), float("inf")]
        self.periods.append(period)
        try:
            yield
        finally:
            period[1] = time.monotonic()

    def overlaps(self, start: float, end: float) -> bool:
        return any(
            start < outage_end and end > outage_start for outage_start, outage_end in list(self.periods)
        )


class LostRequest(NamedTuple):
    """A request without a complete response."""

    start: float
    end: float
    description: str


class ApiClient:
    """A client shared by all writers, with a connection for each request.

    has_single_writer -- whether a concurrent write is a valid reason for 503 (SQLite)
    """

    def __init__(self, port: int, outages: Outages, has_single_writer: bool):
        self.port = port
        self.outages = outages
        self.has_single_writer = has_single_writer
        self.in_flight = 0
        self.connections_refused = 0
        self.statuses: Counter[int] = Counter()
        self.lost: list[LostRequest] = []
        self.slowest_seconds = 0.0
        self._lock = threading.Lock()

    @property
    def responses(self) -> int:
        return self.statuses.total()

    def try_once(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None
    ) -> Response | None:
        """Send a request. Returns the response, or None if the outcome is unknown.

        The outcome is unknown without a complete response, after a valid 503, and while a request with the same
        `Idempotency-Key` is in progress. Raises Violation for any other 5xx.
        """
        start = time.monotonic()
        try:
            response = self._send(method, path, body, headers or {})
        except CONNECTION_ERRORS as error:
            with self._lock:
                self.lost.append(LostRequest(start, time.monotonic(), f"{method} {path}: {error!r}"))
            return None
        with self._lock:
            self.statuses[response.status] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - start)
        if response.status == 503:
            self._check_unavailable(response, start, f"{method} {path}")
            return None
        if response.status >= 500:
            raise Violation(f"{method} {path} returned {response.status}: {response.text[:300]!r}")
        is_in_progress = response.status == 409 and response["code"] == "in_progress"
        return None if is_in_progress else response

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Headers | None = None,
        expected: tuple[int, ...] = SUCCESS,
    ) -> Response:
        """Retry until the outcome is known. Raises Violation for an unexpected status, or after a minute."""
        return self.request_with_retries(method, path, body, headers, expected)[0]

    def request_with_retries(
        self, method: str, path: str, body: Any, headers: Headers | None, expected: tuple[int, ...] = SUCCESS
    ) -> tuple[Response, int]:
        """Like `request`, and also return the number of retries."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        retries = 0
        while (response := self.try_once(method, path, body, headers)) is None:
            retries += 1
            if time.monotonic() > deadline:
                raise Violation(f"{method} {path} got no response for {TIMEOUT_SECONDS} seconds.")
            time.sleep(RETRY_SECONDS)
        if response.status not in expected:
            raise Violation(f"{method} {path} returned {response.status}: {response.text[:300]!r}")
        return response, retries

    def _send(self, method: str, path: str, body: Any, headers: Headers) -> Response:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Connection": "close", "Content-Type": "application/json"} | headers
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                with self._track_in_flight():
                    return call(self.port, method, path, data, headers=headers, seconds=TIMEOUT_SECONDS)
            except ConnectionRefusedError:
                # Nothing was sent: the web process is restarting.
                self.connections_refused += 1
                if time.monotonic() > deadline:
                    raise Violation(f"{method} {path}: the service does not accept connections.") from None
                time.sleep(RETRY_SECONDS)

    @contextmanager
    def _track_in_flight(self) -> Iterator[None]:
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def _check_unavailable(self, response: Response, start: float, request: str) -> None:
        if not self.has_single_writer and not self.outages.overlaps(start, time.monotonic()):
            raise Violation(f"{request} returned 503 while the database was up: {response.text[:300]!r}")
        if not response.headers.get("Retry-After", "").isdigit():
            raise Violation(f"{request} returned 503 without Retry-After.")
