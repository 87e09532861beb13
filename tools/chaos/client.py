"""Requests whose fate is kept: answered, turned away at the door, or open because no whole answer came."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.live.client import LOST, Answer
from tests.live.scripted_client import call

PATIENCE_SECONDS = 60
GLANCE_SECONDS = 0.02
DONE = (200, 201, 202)

Headers = dict[str, str]


class Breach(Exception):
    """The service broke a promise; the text says which, and where."""


class Outages:
    """When the database was away, from when to when."""

    def __init__(self) -> None:
        self.spans: list[list[float]] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        span = [time.monotonic(), float("inf")]
        self.spans.append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def touch(self, began: float, ended: float) -> bool:
        return any(began < until and ended > since for since, until in list(self.spans))


class Lost(NamedTuple):
    """A request whose answer never came, or not as a whole."""

    began: float
    ended: float
    words: str


class Pace:
    """Lets requests go so many a second, however many ask at the same time."""

    def __init__(self, per_second: float):
        self.pause = 1 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            self._next = max(self._next + self.pause, time.monotonic() - 1)
            remaining = self._next - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)


class Line:
    """The way to the service, shared by all writers: each request has a connection of its own.

    has_one_writer -- whether the database lets one write at a time, as SQLite does, and may be busy for once

    `in_flight` is how many requests are on their way now; `answered`, `statuses`, `turned_away` (the connection was
    refused, so nothing was sent) and `lost` are what became of them.
    """

    def __init__(self, port: int, outages: Outages, pace: Pace | None = None, has_one_writer: bool = False):
        self.port = port
        self.outages = outages
        self.pace = pace
        self.has_one_writer = has_one_writer
        self.in_flight = 0
        self.answered = 0
        self.turned_away = 0
        self.statuses: Counter[int] = Counter()
        self.lost: list[Lost] = []
        self.slowest_seconds = 0.0
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> Answer | None:
        """The answer to one request; None where its fate is open.

        It is open where no whole answer came, after a 503 while the database was away (or too busy, for SQLite), and
        while another request of the same `Idempotency-Key` is at work. Raises Breach for any other 5xx.
        """
        if self.pace:
            self.pace.wait()
        began = time.monotonic()
        try:
            answer = self._sent(method, path, body, headers or {})
        except LOST as error:
            self._note_lost(began, f"{method} {path}: {error!r}")
            return None
        self._note(answer, began)
        if answer.status == 503:
            self._judge_unavailable(answer, began, f"{method} {path}")
            return None
        if answer.status >= 500:
            raise Breach(f"{method} {path} answered {answer.status}: {answer.text[:300]!r}")
        return None if _is_in_progress(answer) else answer

    def insist(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Headers | None = None,
        expected: tuple[int, ...] = DONE,
    ) -> Answer:
        """Ask until there is an answer; Breach where there is none within a minute, or another than expected."""
        answer, _ = self.insist_and_count(method, path, body, headers, expected)
        return answer

    def insist_and_count(
        self, method: str, path: str, body: Any, headers: Headers | None, expected: tuple[int, ...] = DONE
    ) -> tuple[Answer, int]:
        """The answer, and how many tries before it are of open fate."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        tries = 0
        while (answer := self.ask(method, path, body, headers)) is None:
            tries += 1
            if time.monotonic() > deadline:
                raise Breach(f"{method} {path} has no answer after {PATIENCE_SECONDS} seconds.")
            time.sleep(GLANCE_SECONDS)
        if answer.status not in expected:
            raise Breach(f"{method} {path} answered {answer.status}: {answer.text[:300]!r}")
        return answer, tries

    def _sent(self, method: str, path: str, body: Any, headers: Headers) -> Answer:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        told = {"Connection": "close", "Content-Type": "application/json"} | headers
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._on_its_way():
                    return call(self.port, method, path, raw, headers=told, seconds=PATIENCE_SECONDS)
            except ConnectionRefusedError:
                # Nothing was sent: nobody listens while the web process starts again.
                self.turned_away += 1
                if time.monotonic() > deadline:
                    raise Breach(f"Nobody listens any more for {method} {path}.") from None
                time.sleep(GLANCE_SECONDS)

    @contextmanager
    def _on_its_way(self) -> Iterator[None]:
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def _note(self, answer: Answer, began: float) -> None:
        with self._lock:
            self.answered += 1
            self.statuses[answer.status] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)

    def _note_lost(self, began: float, words: str) -> None:
        with self._lock:
            self.lost.append(Lost(began, time.monotonic(), words))

    def _judge_unavailable(self, answer: Answer, began: float, what: str) -> None:
        if not self.has_one_writer and not self.outages.touch(began, time.monotonic()):
            raise Breach(f"{what} answered 503 although the database was there: {answer.text[:300]!r}")
        if not answer.headers.get("Retry-After", "").isdigit():
            raise Breach(f"{what} answered 503 without Retry-After.")


def _is_in_progress(answer: Answer) -> bool:
    return answer.status == 409 and answer["code"] == "in_progress"
