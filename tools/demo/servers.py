"""Local servers for the demo: webhook receivers, a model provider, and an email server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from tools.scripts.service import HOST

MESSAGES = "/v1/messages"
FAILING = "/chat"
UNKNOWN_DOMAIN = b"@mailbox.invalid"


class DemoServers(ThreadingHTTPServer):
    """Serves webhook receivers (FAILING returns 503), a model provider and SMTP during the `with` block.

    message, request_id -- the next response of the model, and the id of its request
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.request_id = ""
        super().__init__((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self.server_address[1]}"
        self.email = ThreadingTCPServer((HOST, 0), EmailHandler)
        self.email.daemon_threads = True

    def __enter__(self) -> "DemoServers":
        for server in (self, self.email):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for server in (self, self.email):
            server.shutdown()
            server.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """Settings for a service that uses these servers."""
        return {
            "WEBHOOK_ALLOWED_NETWORKS": f"{HOST}/32",
            "SMTP_URL": f"smtp://{HOST}:{self.email.server_address[1]}?tls=none",
        }


class Handler(BaseHTTPRequestHandler):
    server: DemoServers

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == FAILING:
            self._respond(503, b"upstream connect error: channel_not_found")
        elif self.path == MESSAGES:
            self._respond(200, json.dumps(self.server.message).encode())
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
        """Disable logging."""


class EmailHandler(StreamRequestHandler):
    """Implements the SMTP commands that the worker uses. Discards emails, and rejects UNKNOWN_DOMAIN."""

    def handle(self) -> None:
        self._reply("220 Demo")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self._reply("354 Go ahead")
                for _ in iter(self.rfile.readline, b".\r\n"):
                    pass
            if command == b"RCPT" and UNKNOWN_DOMAIN in line:
                self._reply("550 5.1.1 The mailbox does not exist")
            else:
                self._reply("221 Bye" if command == b"QUIT" else "250 OK")

    def _reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
