"""gunicorn's threaded worker, with timeouts for idle clients, a graceful stop, and this API's error responses.

The overrides are tested in tests/live/test_slow_clients.py, tests/live/test_stop_under_load.py,
tests/live/test_start_and_stop.py and tests/hostile/test_sockets.py.
"""

import contextlib
import json
import socket
import struct
import sys
import threading
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

import config
from errors import HTTP_ERRORS
from web import access_log, log_format
from web.sockets import stopping

SOCKET_TIMEOUT_SECONDS = 10
LINGER_SECONDS = 1
MAX_DRAIN_BYTES = 16 * 1024 * 1024
# Connections are shut down this long before gunicorn kills the process, so their requests have time to finish.
SHUTDOWN_SECONDS = 3


STATUSES: dict[type[Exception], int] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
}
SERVER_ERRORS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)


class Log(Logger):
    """gunicorn's log in the application's log format, with keys and tokens masked."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        formatter = log_format.formatter(config.load().log_format)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(formatter)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log the current exception, without a traceback if a client exceeded SOCKET_TIMEOUT_SECONDS."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.debug("Closed an idle connection.")
        else:
            super().exception(msg, *args, **kwargs)


class WebWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.in_flight: set[TConn] = set()

    def handle(self, conn: TConn) -> Any:
        """Serve a request in a worker thread. Return true if the connection stays open."""
        set_socket_timeouts(conn.sock)
        self.in_flight.add(conn)
        try:
            stays_open = super().handle(conn)
        finally:
            self.in_flight.discard(conn)
        if not stays_open:
            # Wait for the client to close. gunicorn would wait up to two seconds per client in its accept loop, and not
            # at all after an exception.
            util.close_graceful(conn.sock.dup(), LINGER_SECONDS, MAX_DRAIN_BYTES)
            raise ConnectionAbortedError
        return stays_open

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        is_stopping = not self.alive or not self.is_parent_alive()
        if is_stopping and not enabled:
            self.begin_graceful_stop()

    def begin_graceful_stop(self) -> None:
        """Accept queued connections, then reject new ones.

        When the last process closes a listener, the kernel resets the connections in its queue, including any that
        arrived just before.
        """
        stopping.set()
        listeners: list[Any] = self.sockets
        self.sockets: list[Any] = []
        for listener in listeners:
            for _ in range(self.cfg.backlog):
                accepted = self.nr_conns
                self.accept(listener)
                if self.nr_conns == accepted:
                    break
            listener.close()
        # Close connections that have not sent anything, such as browser preconnects.
        for conn in self.pending_conns:
            conn.timeout = 0
        self.murder_pending()
        timer = threading.Timer(self.cfg.graceful_timeout - SHUTDOWN_SECONDS, self.shut_down_connections)
        timer.daemon = True
        timer.start()

    def shut_down_connections(self) -> None:
        """Disconnect the remaining streams and slow requests."""
        for conn in self.in_flight.copy():
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Respond to a request that did not reach the application or that crashed it."""
        status = status_for(exc)
        if req is not None and status == 400:
            # The application has already responded, without reading the malformed body.
            return
        with access_log.outside_application() as request_id:
            if status == 500:
                self.log.error("A request failed outside the application.", exc_info=exc)
            else:
                self.log.info("Rejected a malformed request (%s).", type(exc).__name__)
            try:
                util.write_nonblock(client, serialize(status, request_id))
            except OSError:
                self.log.debug("The client disconnected before its error response.")


def set_socket_timeouts(sock: socket.socket) -> None:
    """Set the timeout of each receive and each send to SOCKET_TIMEOUT_SECONDS.

    Uses kernel timeouts, because gunicorn resets Python's `settimeout` for each request.
    """
    timeout = struct.pack("@ll", SOCKET_TIMEOUT_SECONDS, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)


def status_for(exc: Exception) -> int:
    if isinstance(exc, SERVER_ERRORS) or not isinstance(exc, (errors.ParseException, OSError)):
        return 500
    return STATUSES.get(type(exc), 400)


def serialize(status: int, request_id: str) -> bytes:
    code, message = HTTP_ERRORS[status]
    body = json.dumps({"error": message, "code": code})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"{access_log.HEADER}: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode("ascii")
