"""The load: a few connections, each with a process of its own that asks, waits for the answer, and asks again.

Plain sockets instead of an HTTP library, since on a small machine what the client costs is taken from the
service.
"""

import contextlib
import multiprocessing
import random
import re
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.operations import Operation

CONNECTIONS = 8
TIMEOUT_SECONDS = 30
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
FORK = multiprocessing.get_context("fork")


class Outcome(NamedTuple):
    """What one run gave: right answers a second, the median time of an answer, and how many were wrong."""

    per_second: float
    median_ms: float
    errors: int


@dataclass
class Tally:
    """What one connection saw."""

    times_ms: list[float] = field(default_factory=list)
    errors: int = 0


def run(port: int, operation: Operation, seconds: float) -> Outcome:
    """Send the operation to 127.0.0.1:`port` for so long."""
    results = FORK.SimpleQueue()
    until = time.monotonic() + seconds
    workers = [
        FORK.Process(target=_work, args=(port, operation, until, seed, results))
        for seed in range(CONNECTIONS)
    ]
    for worker in workers:
        worker.start()
    tallies = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    times = [time_ms for tally in tallies for time_ms in tally.times_ms]
    median = statistics.median(times) if times else float("nan")
    return Outcome(len(times) / seconds, median, sum(tally.errors for tally in tallies))


def answer(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request; ConnectionError if the service hangs up."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    while length and len(body) < int(length[1]):
        body += _some(connection)
    return int(head[9:12]), body


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _some(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise ConnectionError("The service hung up.")
    return part


def _work(port: int, operation: Operation, until: float, seed: int, results: Any) -> None:
    tally = Tally()
    requests = operation.requests(random.Random(seed))
    while time.monotonic() < until:
        try:
            with contextlib.closing(connect(port)) as connection:
                _ask(connection, operation.status, requests, until, tally)
        except OSError:
            tally.errors += 1
    results.put(tally)


def _ask(
    connection: socket.socket, status: int, requests: Iterator[bytes], until: float, tally: Tally
) -> None:
    """Ask over one connection until the time is over."""
    while (begun := time.monotonic()) < until:
        found, _ = answer(connection, next(requests))
        if found == status:
            tally.times_ms.append((time.monotonic() - begun) * 1000)
        else:
            tally.errors += 1
