"""HTTP: reads requests, calls the API, and writes JSON responses."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from workshops.api import Api
from workshops.errors import ApiError, InvalidRequest
from workshops.store import Store

MAX_BODY_BYTES = 64 * 1024


class Server(ThreadingHTTPServer):
    """The service, which answers each connection in a thread."""

    daemon_threads = True

    def __init__(self, store: Store, host: str, port: int):
        super().__init__((host, port), Handler)
        self.api = Api(store)


class Handler(BaseHTTPRequestHandler):
    """A connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        try:
            body = self._read_body()
            query = dict(parse_qsl(url.query))
            status, response = self.server.api.respond(self.command, url.path, query, body)
        except ApiError as error:
            status, response = error.status, {"error": {"code": error.code, "message": str(error)}}
        self._write(status, response)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _read_body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            raise InvalidRequest(f"A body must have at most {MAX_BODY_BYTES} bytes.")
        content = self.rfile.read(length)
        if not content:
            return {}
        try:
            body = json.loads(content)
        except ValueError:
            raise InvalidRequest("The body must be JSON.") from None
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return body

    def _write(self, status: int, response: dict[str, Any]) -> None:
        content = json.dumps(response).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a proxy in front of the service has an access log."""


def serve(store: Store, host: str, port: int) -> None:
    """Answer requests until Ctrl-C."""
    with Server(store, host, port) as server:
        print(f"Listening on http://{host}:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Stopped.", flush=True)
