"""Clients that are slow on purpose, and a measurement of how many of them block others.

    python -m tests.live.slow_clients

prints the table of tools/benchmarks/SIZING.md#slow-clients.
"""

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live.service import HOST, Service

PROBE_SECONDS = 2
MEASURE_SECONDS = 20
COUNTS = (8, 16, 32)
HEAD = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = (
    b"POST /v1/candidate/consent HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10000\r\n\r\n{"
)
# Together more than the kernel buffers for a connection (net.ipv4.tcp_wmem).
LARGE_RESPONSES = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 5

Behavior = Callable[[socket.socket, threading.Event], None]


def silent(sent: bytes) -> Behavior:
    """Send these bytes, then nothing."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(sent)
        ended.wait()

    return behave


def trickling(sent: bytes) -> Behavior:
    """Send these bytes, then one byte per second."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(sent)
        while not ended.wait(1):
            connection.sendall(b"x")

    return behave


def reading_slowly(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(LARGE_RESPONSES)
    while not ended.wait(1) and connection.recv(1024):
        pass


SILENT: dict[str, Behavior] = {
    "half the headers, then silence": silent(HEAD),
    "half a body, then silence": silent(BODY),
    "reads nothing of large responses": silent(LARGE_RESPONSES),
}
KINDS: dict[str, Behavior] = {
    "connects and sends nothing": silent(b""),
    **SILENT,
    "headers, one byte per second": trickling(HEAD),
    "a body, one byte per second": trickling(BODY),
    "reads 1 KiB per second of large responses": reading_slowly,
}


@contextmanager
def slow_clients(port: int, behave: Behavior, count: int) -> Iterator[None]:
    ended = threading.Event()

    def run() -> None:
        with suppress(OSError), socket.socket() as connection:
            # With a larger buffer the kernel would read for the client.
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


def measure(behave: Behavior, count: int) -> str:
    """Probe the service while slow clients are connected; return the outage and the share of failed probes."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), f"sqlite:///{folder}/proofstone.db").start(processes=2)
        lost, probes = [], 0
        with slow_clients(service.port, behave, count):
            end = time.monotonic() + MEASURE_SECONDS
            while (started := time.monotonic()) < end:
                probes += 1
                if not service.responds(within_seconds=PROBE_SECONDS):
                    lost.append((started, time.monotonic()))
                time.sleep(0.2)
            assert service.web is not None
            os.killpg(service.web.pid, signal.SIGKILL)
            service.web.wait()
    return f"{lost[-1][1] - lost[0][0]:.0f} s, {len(lost) / probes:.0%}" if lost else "-"


def main() -> None:
    print(f"| | {' | '.join(map(str, COUNTS))} |")
    print("|---|" + "---|" * len(COUNTS))
    for name, behave in KINDS.items():
        print(f"| {name} | {' | '.join(measure(behave, count) for count in COUNTS)} |", flush=True)


if __name__ == "__main__":
    main()
