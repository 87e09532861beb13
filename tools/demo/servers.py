"""The demo's other servers on this machine: webhook receivers, a model provider, and an email server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

HOST = "127.0.0.1"
MESSAGES = "/v1/messages"
FAILING = "/chat"
UNKNOWN_DOMAIN = b"@mailbox.invalid"


class Neighbour(ThreadingHTTPServer):
    """Accepts webhooks, except on FAILING. `answer` is the model's next message, with the id of its request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.request_id = ""
        super().__init__((HOST, 0), Handler)
        self.address = f"http://{HOST}:{self.server_address[1]}"
        self.mail = ThreadingTCPServer((HOST, 0), EmailHandler)
        self.mail.daemon_threads = True

    @property
    def settings(self) -> dict[str, str]:
        """The settings with which a service uses it."""
        return {
            "WEBHOOK_ALLOWED_NETWORKS": f"{HOST}/32",
            "SMTP_URL": f"smtp://{HOST}:{self.mail.server_address[1]}?tls=none",
        }


class Handler(BaseHTTPRequestHandler):
    server: Neighbour

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == FAILING:
            self._respond(503, b"upstream connect error: channel_not_found")
        elif self.path == MESSAGES:
            self._respond(200, json.dumps(self.server.answer).encode())
        else:
            self._respond(200, b"ok")

    def _respond(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", self.server.request_id)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class EmailHandler(StreamRequestHandler):
    """As much of SMTP as one message of the worker needs. Nothing is stored, and UNKNOWN_DOMAIN has no mailbox."""

    def handle(self) -> None:
        self._answer("220 Demo")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self._answer("354 Go on")
                for _ in iter(self.rfile.readline, b".\r\n"):
                    pass
            if command == b"RCPT" and UNKNOWN_DOMAIN in line:
                self._answer("550 5.1.1 The mailbox does not exist")
            else:
                self._answer("221 Bye" if command == b"QUIT" else "250 OK")

    def _answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server, server.mail:
        for each in (server, server.mail):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            server.mail.shutdown()
