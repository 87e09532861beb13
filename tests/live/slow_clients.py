"""Clients that are slow on purpose, and how many of them it takes until others are not answered.

    python -m tests.live.slow_clients

prints the table of docs/slow-clients.md: two processes of eight threads, a probe of `/v1/health` every 0.2 seconds.
"""

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live.client import CONNECTION_ERRORS, Client
from tests.live.service import HOST, Service

PROBE_SECONDS = 2
WATCHED_SECONDS = 20
COUNTS = (8, 16, 32)
LARGE_ANSWER = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /v1/candidate/consent HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{"

Behaviour = Callable[[socket.socket, threading.Event], None]


def silent(first: bytes) -> Behaviour:
    """Sends this, and then nothing more."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(first)
        ended.wait()

    return behave


def trickling(first: bytes) -> Behaviour:
    """Sends this, and then a byte a second."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(first)
        while not ended.wait(1):
            connection.sendall(b"x")

    return behave


def reads(bytes_a_second: int) -> Behaviour:
    """Asks for a large answer and reads so much of it."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(LARGE_ANSWER)
        while not ended.wait(1):
            if bytes_a_second and not connection.recv(bytes_a_second):
                return

    return behave


KINDS: dict[str, Behaviour] = {
    "connects and says nothing": silent(b""),
    "half a head, then silence": silent(HEAD),
    "a head, a byte a second": trickling(HEAD),
    "half a body, then silence": silent(BODY),
    "a body, a byte a second": trickling(BODY),
    "reads nothing of a large answer": reads(0),
    "reads 1 KiB a second of it": reads(1024),
}


@contextmanager
def slow(port: int, behave: Behaviour, count: int):
    """So many of one kind at work."""
    ended = threading.Event()

    def run() -> None:
        with suppress(OSError), socket.socket() as connection:
            # A small window, as of a client far away: else the kernel would take the answer for it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((HOST, port))
            behave(connection, ended)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(5)


def stopped_for(port: int, watched_seconds: float) -> tuple[float, float]:
    """From the first probe that is not answered within PROBE_SECONDS to the last one, in seconds, and the share of
    probes that was not; (0, 0) if all were."""
    probe = Client(port, timeout=PROBE_SECONDS)
    began, lost = time.monotonic(), []
    probes = 0
    while time.monotonic() - began < watched_seconds:
        at, probes = time.monotonic(), probes + 1
        try:
            assert probe.get("/v1/health").status == 200
        except CONNECTION_ERRORS:
            lost.append((at, time.monotonic()))
        time.sleep(0.2)
    return (lost[-1][1] - lost[0][0], len(lost) / probes) if lost else (0, 0)


def main() -> None:
    print(f"| | {' | '.join(map(str, COUNTS))} |")
    print("|---|" + "---|" * len(COUNTS))
    with tempfile.TemporaryDirectory() as folder:
        for name, behave in KINDS.items():
            print(
                f"| {name} | {' | '.join(measured(Path(folder), behave, count) for count in COUNTS)} |",
                flush=True,
            )


def measured(folder: Path, behave: Behaviour, count: int) -> str:
    service = Service(folder, f"sqlite:///{folder}/proofstone.db").start(processes=2)
    with slow(service.port, behave, count):
        seconds, share = stopped_for(service.port, WATCHED_SECONDS)
        assert service.web is not None
        os.killpg(service.web.pid, signal.SIGKILL)
        service.web.wait()
    return f"{seconds:.0f} s, {share:.0%}" if seconds else "-"


if __name__ == "__main__":
    main()
