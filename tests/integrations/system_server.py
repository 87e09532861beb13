"""A local server that responds as a system does."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from integrations import secrets
from integrations.connection import Connection
from integrations.systems import adapters
from integrations.tables import Integration
from rules.delivery.webhook_addresses import parse_networks

LOOPBACK = parse_networks("127.0.0.0/8")


class Request(NamedTuple):
    """A received request. Header names are in lower case; `json` is None if the body is something else."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SystemServer(ThreadingHTTPServer):
    """Responds to `POST /path` with the next of `answers["POST /path"]`; the last one is repeated.

    An answer is JSON, or a status with JSON or bytes, and headers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, list[Any]] = {}
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def connect(
        self,
        integration: Any,
        hosts: Any = ("harvest.greenhouse.io", "auth.greenhouse.io", "api.ashbyhq.com"),
    ):
        replaced = dict.fromkeys(hosts, self.origin)
        return Connection(integration, {"INTEGRATION_HOSTS": replaced, "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK})

    def sent(self, name: str) -> list[Request]:
        """Return the requests to `POST /path`."""
        return [request for request in self.requests if f"{request.method} {request.path}" == name]


class Handler(BaseHTTPRequestHandler):
    server: SystemServer

    def respond(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(
            Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        )
        answers = self.server.answers[f"{self.command} {parts.path}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status, content, more = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **more,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = respond

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


def store_integration(
    organization: Any, system: str, credential: dict[str, str], **settings: str
) -> Integration:
    row = Integration(
        organization=organization, system=system, name=adapters()[system].NAME, settings=settings
    )
    secrets.store_credential(row, credential)
    secrets.new_signing_secret(row)
    row.save(force_insert=True)
    return row


@contextmanager
def serving():
    with SystemServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
