"""gunicorn's threaded worker and its log, with habits of ours (named in gunicorn.conf.py).

- A connection that stays silent in the middle of a request or an answer is dropped, and one whose request's head
  does not come to its end, so that a few slow clients cannot hold every thread (docs/slow-clients.md); and waiting
  until a client hangs up is a thread's work, not the loop's.
- It takes one new connection a millisecond, so that all processes get their share.
- Told to stop, it takes in whoever has knocked already, then shuts its door, so that nobody waits in front of a
  process that is going away; and it cuts what is still running shortly before it would be killed.
- What is no HTTP is refused in the API's own shape (R26), not as gunicorn's page of HTML.
- The log never quotes a request line: its query may carry a candidate's key. Its lines have the form of all others.
"""

import contextlib
import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

import config
from web import access_log, log_format

SILENCE_SECONDS = 10
HEAD_SECONDS = 10
GOODBYE_SECONDS = 1
GIVE_WAY_SECONDS = 0.001
# So long before the end of graceful_timeout what is still running is cut: a thread that is killed notes nothing more.
LAST_SECONDS = 3

Refusal = tuple[int, str, str, str]  # status, its name, code, sentence
MALFORMED: Refusal = (400, "Bad Request", "malformed_request", "This is not a well-formed HTTP request.")
REFUSALS: dict[type[Exception], Refusal] = {
    errors.LimitRequestLine: (414, "URI Too Long", "uri_too_long", "The address is too long."),
    errors.LimitRequestHeaders: (431, "Headers Too Large", "headers_too_large", "The headers are too long."),
    errors.ExpectationFailed: (417, "Expectation Failed", "expectation_failed", "Only 100-continue is met."),
}
FAILED: Refusal = (500, "Internal Server Error", "internal_error", "Something went wrong on our side.")
OUR_FAULT = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)


class Log(Logger):
    """gunicorn's, in the form of all other lines; no key and no token can be read in them."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        formatter = log_format.formatter(config.load().log_format)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(formatter)


class WebWorker(ThreadWorker):
    def init_process(self) -> None:
        self.log.error_log.addFilter(is_worth_a_line)
        self.being_served: set[TConn] = set()
        super().init_process()

    def accept(self, listener: Any) -> None:
        before = self.nr_conns
        super().accept(listener)
        if self.nr_conns > before and self.alive:
            # Of connections that come at once one process took all, before the others had woken, and kept them.
            time.sleep(GIVE_WAY_SECONDS)

    def enqueue_req(self, conn: TConn) -> None:
        limit_silence(conn.sock)
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        conn.reads_head_since = time.monotonic()
        self.being_served.add(conn)
        try:
            keeps = super().handle(conn)
            if not keeps:
                say_goodbye(conn.sock)
            return keeps
        finally:
            self.being_served.discard(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        conn.reads_head_since = None
        return super().handle_request(req, conn)

    def murder_keepalived(self, force: bool = False) -> None:
        super().murder_keepalived(force)
        late = time.monotonic() - HEAD_SECONDS
        hang_up(conn for conn in self.being_served.copy() if (conn.reads_head_since or late) < late)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not enabled and (not self.alive or self.ppid != os.getppid()):
            self.shut_the_door()

    def shut_the_door(self) -> None:
        """Take in who has knocked already; who comes later is refused at once, and need not wait in vain.

        A connection that nobody has accepted when its listener is closed would be reset, with the request in it.
        """
        listeners: list[Any] = self.sockets
        self.sockets: list[Any] = []
        for listener in listeners:
            # More than these cannot have been waiting when it was time to stop.
            for _ in range(self.cfg.backlog):
                connections = self.nr_conns
                self.accept(listener)
                if self.nr_conns == connections:
                    break
            listener.close()
        self.close_silent()
        timer = threading.Timer(self.cfg.graceful_timeout - LAST_SECONDS, self.cut)
        timer.daemon = True
        timer.start()

    def close_silent(self) -> None:
        """Connections that have never sent anything have nothing to lose."""
        for conn in self.pending_conns:
            conn.timeout = 0
        self.murder_pending()

    def cut(self) -> None:
        """End what is still running: endless streams, slow clients."""
        hang_up(self.being_served.copy())

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that never reached the application, or that it could not answer."""
        refusal = refusal_of(exc)
        if req is not None and refusal is MALFORMED:
            # Its body is malformed and nobody wanted to read it: it has been answered, and needs no second answer.
            return
        with access_log.outside_the_application() as request_id:
            if refusal is FAILED:
                self.log.error("A request failed outside the application", exc_info=exc)
            else:
                self.log.info("Refused a malformed request (%s)", type(exc).__name__)
            try:
                util.write_nonblock(client, answer(*refusal, request_id))
            except OSError:
                self.log.debug("The client did not wait for its refusal")


def limit_silence(sock: socket.socket) -> None:
    """Let each receive and each send wait for SILENCE_SECONDS at most.

    The kernel's own limits, because they count from the last progress: Python's `settimeout` would also limit
    a large answer as a whole, and gunicorn resets it for each request.
    """
    limit = struct.pack("@ll", SILENCE_SECONDS, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def hang_up(connections: Iterable[TConn]) -> None:
    """Each one's thread sees its client hang up."""
    for conn in connections:
        with contextlib.suppress(OSError):
            conn.sock.shutdown(socket.SHUT_RDWR)


def say_goodbye(sock: socket.socket) -> None:
    """Wait a moment until the client has hung up too, as gunicorn does next, but there for up to two seconds
    in the loop that accepts connections. After this it finds nothing left to wait for."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while (remaining := deadline - time.monotonic()) > 0:
            sock.settimeout(remaining)
            if not sock.recv(65536):
                break
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not a line for a silent client: the limit above shows as a BlockingIOError, with a long traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def refusal_of(exc: Exception) -> Refusal:
    if isinstance(exc, OUR_FAULT) or not isinstance(exc, (errors.ParseException, OSError)):
        return FAILED
    return REFUSALS.get(type(exc), MALFORMED)


def answer(status: int, reason: str, code: str, sentence: str, request_id: str) -> bytes:
    body = json.dumps({"error": sentence, "code": code})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\n{access_log.HEADER}: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode("ascii")
