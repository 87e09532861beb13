"""A client that sends raw bytes and parses responses as strictly as a proxy."""

import json
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30
HOST = b"Host: localhost\r\n"
JSON_TYPE = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RawClient:
    """The service's port, a reviewer's token, and an open session with its key."""

    port: int
    token: str
    key: str
    session_id: str

    @property
    def reviewer(self) -> bytes:
        return HOST + f"Authorization: Bearer {self.token}\r\n".encode()

    @property
    def candidate(self) -> bytes:
        return HOST + f"X-API-Key: {self.key}\r\n".encode()

    def event(self) -> bytes:
        """Build a new event's body."""
        event = {"kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": {}}
        return json.dumps(event | {"id": str(uuid.uuid4()), "sessionId": self.session_id}).encode()

    def ingest(self, headers: bytes, body: bytes) -> bytes:
        """Build a candidate's ingest request."""
        first = b"POST /v1/hooks/ingest HTTP/1.1\r\n"
        return first + self.candidate + JSON_TYPE + headers + b"\r\n" + body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)

    def send(self, sent: bytes) -> list[Response]:
        """Send the bytes, close the sending side, and return all responses."""
        with self.connect() as connection:
            with suppress(OSError):  # If the service closes early, its response can still be read.
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
            return parse_responses(receive_all(connection))

    def statuses(self, sent: bytes) -> list[int]:
        """Send the bytes, check all responses, and return their statuses."""
        responses = self.send(sent)
        for response in responses:
            check(response)
        return [response.status for response in responses]


def with_length(request: bytes, body: bytes) -> bytes:
    """Add Content-Length and a body to a request line and headers."""
    return request + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def receive_all(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def parse_responses(received: bytes) -> list[Response]:
    responses = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version.startswith("HTTP/1.")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        assert len(received) >= length
        responses.append(Response(int(status), headers, received[:length]))
        received = received[length:]
    return responses


def check(response: Response) -> None:
    """Check the rules for all responses of gunicorn and the application (R26)."""
    assert response.status < 500, response.body
    assert not 300 <= response.status < 400
    if response.status >= 200:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"]
    if response.status >= 400:
        assert response.headers["content-type"] == "application/json"
        assert response.json["error"]
        assert response.json["code"]
        assert set(response.json) <= {"error", "code", "details"}
