"""A receiver of webhooks on a loopback address: keeps what came, and answers as it is told."""

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.1"


class Message(NamedTuple):
    """A request as it came; headers by their names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    """Answers 200, or in turn what stands in `answers` as (status, headers, body)."""

    daemon_threads = True

    def __init__(self, host: str = LOOPBACK, port: int = 0):
        self.messages: list[Message] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        super().__init__((host, port), Handler)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str = "/hook", host: str = LOOPBACK, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def handle_error(self, *args: Any) -> None:
        """Who hangs up is part of some tests."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.messages.append(Message(self.path, headers, body))
        status, more, answer = self.server.answers.pop(0) if self.server.answers else (200, {}, b"ok")
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving(host: str = LOOPBACK, port: int = 0, tls: ssl.SSLContext | None = None):
    """A receiver at work while the block runs."""
    with Receiver(host, port) as receiver:
        if tls is not None:
            receiver.socket = tls.wrap_socket(receiver.socket, server_side=True)
        thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


@contextmanager
def speaking(talk):
    """The port of a server that does `talk(connection)` with the first who comes, after the request's headers."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        # The other side may have had enough.
        with connection, suppress(OSError):
            talk(connection)

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
