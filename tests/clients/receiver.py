"""A webhook receiver that verifies signatures with the function in docs/webhooks.md."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from verify import verify


class Receiver(ThreadingHTTPServer):
    """Collects messages. `wait_for` verifies them, and returns the first event of a type."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: queue.Queue[tuple[Any, bytes]] = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def wait_for(self, event_type: str, secret: str) -> dict[str, Any]:
        while True:
            headers, body = self.messages.get(timeout=30)
            assert verify(secret, headers, body)
            assert not verify(secret, headers, body + b" ")
            event = json.loads(body)
            if event["type"] == event_type:
                return event


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.put((self.headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...
