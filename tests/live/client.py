"""A caller over real HTTP, and many of them at the same moment."""

import http.client
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

# The ways in which an answer can fail to come.
LOST = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def __getitem__(self, name: str) -> Any:
        """A member of the answer's JSON object."""
        return self.json[name]


class Client:
    """Calls the service on a port of this machine as somebody; any number of threads can share one.

    Each call has a connection of its own. It raises one of LOST when no whole answer comes.
    """

    def __init__(self, port: int, timeout: float = 60, **headers: str):
        self.port = port
        self.timeout = timeout
        self.headers = headers

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.request("POST", path, body)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            headers = self.headers | {"Connection": "close"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same moment, each from a thread of its own; their results in the same order."""
    gate = threading.Barrier(len(calls))

    def after_the_gate(call: Callable[[], Any]) -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(after_the_gate, calls))


class Load:
    """Calls that are made again and again, each from a thread of its own, until the `with` block ends."""

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
