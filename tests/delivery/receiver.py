"""A local webhook receiver that stores messages, with configurable responses."""

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.1"


class Message(NamedTuple):
    """A received request. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    """Responds with the next (status, headers, body) in `responses`, or with `status`."""

    daemon_threads = True
    status = 200

    def __init__(self, host: str = LOOPBACK, port: int = 0):
        self.messages: list[Message] = []
        self.responses: list[tuple[int, dict[str, str], bytes]] = []
        super().__init__((host, port), Handler)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str = "/hook", host: str = LOOPBACK, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def handle_error(self, *args: Any) -> None:
        """Ignore broken connections, which some tests cause."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.messages.append(Message(self.path, headers, body))
        responses = self.server.responses
        status, more_headers, content = responses.pop(0) if responses else (self.server.status, {}, b"ok")
        self.send_response(status)
        for name, value in more_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def receiving(host: str = LOOPBACK, port: int = 0, tls: ssl.SSLContext | None = None):
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
def raw_server(talk):
    """Run `talk(connection)` for the first connection, and yield the port."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        # The client may close the connection first.
        with connection, suppress(OSError):
            talk(connection)

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
