"""An HTTP client, and helpers for concurrent requests."""

import http.client
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

# Raised if there is no complete response.
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]


def call(
    port: int, method: str, path: str, body: bytes | None, *, headers: dict[str, str], seconds: float
) -> Response:
    """Send a request over a new connection. Raise one of CONNECTION_ERRORS without a complete response.

    seconds -- timeout for each part of the response
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
    finally:
        connection.close()


class Client:
    """A thread-safe client of a service on this machine."""

    def __init__(self, port: int, timeout: float = 60, **headers: str):
        self.port = port
        self.timeout = timeout
        self.headers = headers

    def with_idempotency_key(self, key: str) -> "Client":
        return Client(self.port, self.timeout, **self.headers, **{"Idempotency-Key": key})

    def get(self, path: str) -> Response:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> Response:
        return self.request("POST", path, body)

    def delete(self, path: str) -> Response:
        return self.request("DELETE", path)

    def request(self, method: str, path: str, body: Any = None) -> Response:
        headers, content = self.headers | {"Connection": "close"}, None
        if body is not None:
            headers["Content-Type"], content = "application/json", json.dumps(body).encode()
        return call(self.port, method, path, content, headers=headers, seconds=self.timeout)


def run_concurrently(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all calls at the same time, each in a thread, and return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


class Load:
    """Repeats each call in a thread during the `with` block, and raises the first failure at its end."""

    def __init__(self, calls: Sequence[Callable[[], Any]]):
        self._stopped = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._repeat, args=(call,), daemon=True) for call in calls]

    def _repeat(self, call: Callable[[], Any]) -> None:
        try:
            while not self._stopped.is_set():
                call()
        except BaseException as failure:
            self._failures.append(failure)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
