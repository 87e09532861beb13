"""A model provider for the demo, which responds with what the story has prepared."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


class ModelServer(ThreadingHTTPServer):
    """Anthropic's Messages API; `answer` is the next message, with the id of its request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.request_id = ""
        super().__init__((HOST, 0), MessagesHandler)

    @property
    def settings(self) -> dict[str, str]:
        """The settings with which a service forwards model calls to it."""
        address = f"http://{HOST}:{self.server_address[1]}"
        return {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-ant-demo"}


class MessagesHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        content = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", self.server.request_id)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
