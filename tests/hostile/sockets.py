"""Raw bytes to the service, and what comes back, read as strictly as a proxy would."""

import json
import socket
import uuid
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 30
HOST = b"Host: localhost\r\n"
JSON_TYPE = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Line:
    """Where the service is, and the credentials of somebody who may."""

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
        """The body of an event that is new."""
        ts = "2026-04-01T09:00:00Z"
        event = {
            "id": str(uuid.uuid4()),
            "kind": "prompt",
            "ts": ts,
            "v": 1,
            "data": {},
            "sessionId": self.session_id,
        }
        return json.dumps(event).encode()

    def ingest(
        self, headers: bytes, body: bytes, first: bytes = b"POST /v1/hooks/ingest HTTP/1.1\r\n"
    ) -> bytes:
        return first + self.candidate + JSON_TYPE + headers + b"\r\n" + body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def send(self, *parts: bytes) -> list[Answer]:
        """All answers to these bytes, after which the client has nothing more to say."""
        with self.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # The service has heard enough; what it answered can still be read.
            return answers(_everything(connection))

    def statuses(self, *parts: bytes) -> list[int]:
        found = self.send(*parts)
        for answer in found:
            check(answer)
        return [answer.status for answer in found]


def chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def _everything(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def answers(received: bytes) -> list[Answer]:
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version.startswith("HTTP/1.")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        assert len(received) >= length
        found.append(Answer(int(status), headers, received[:length]))
        received = received[length:]
    return found


def check(answer: Answer) -> None:
    """What holds for every answer, whether gunicorn gives it or the application (R26)."""
    assert answer.status < 500, answer.body
    assert not 300 <= answer.status < 400
    if answer.status >= 200:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["error"]
        assert answer.json["code"]
        assert set(answer.json) <= {"error", "code", "details"}
