"""Receivers that say how far a delivery has come, and wait there: for workers that are killed at a wanted stage."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from typing import Any

from tests.delivery.mail_server import HOST
from tests.live.service import PATIENCE_SECONDS


class Gate:
    """A stage at which a receiver waits until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()


class Stages(ABC):
    """What both kinds of receiver share; `taken` holds the ids of what was taken in whole."""

    def __init__(self) -> None:
        self.gates: dict[str, Gate] = {}
        self.taken: list[str] = []
        self.is_idle = threading.Event()

    def gate_at(self, stage: str) -> Gate:
        """Let the next delivery wait at this stage."""
        return self.gates.setdefault(stage, Gate())

    def at(self, stage: str) -> None:
        if gate := self.gates.pop(stage, None):
            gate.reached.set()
            gate.opened.wait(PATIENCE_SECONDS)

    def let_go(self, gate: Gate) -> None:
        """Open the gate of a sender that is dead, and wait until nothing it left on the way can reach another gate."""
        gate.opened.set()
        assert self.is_idle.wait(PATIENCE_SECONDS), "The receiver still talks to a sender that was killed."

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.is_idle.clear()
                # Whoever was killed says nothing more.
                with connection, suppress(OSError):
                    self.talk(connection, connection.makefile("rb"))
                self.is_idle.set()

    @abstractmethod
    def talk(self, connection: socket.socket, lines: Any) -> None:
        """Take what one sender has, and say at each stage that it is reached."""

    @staticmethod
    def line(lines: Any) -> bytes:
        """The next line; ConnectionError where the sender is gone."""
        line = lines.readline()
        if not line:
            raise ConnectionError()
        return line

    def left(self, connection: socket.socket) -> None:
        """The worker hangs up once it has read the answer, and notes it after that."""
        while connection.recv(100):
            pass
        self.at("left")


class MailStages(Stages):
    """Speaks SMTP: `connected`, `data` (in the middle of the mail), `accepted` (not yet said), `left` (it was)."""

    def talk(self, connection: socket.socket, lines: Any) -> None:
        self.at("connected")
        connection.sendall(b"220 ready\r\n")
        for line in iter(lines.readline, b""):
            word = line.split()[0].upper()
            if word == b"DATA":
                connection.sendall(b"354 go on\r\n")
                self._take(connection, lines)
            elif word == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                break
            else:
                connection.sendall(b"250 ok\r\n")
        self.left(connection)

    def _take(self, connection: socket.socket, lines: Any) -> None:
        mail = self.line(lines)
        self.at("data")
        while not mail.endswith(b"\r\n.\r\n"):
            mail += self.line(lines)
        self.taken.append(str(message_from_bytes(mail, policy=policy.default)["Message-ID"]))
        self.at("accepted")
        connection.sendall(b"250 taken\r\n")


class HookStages(Stages):
    """Speaks HTTP: `connected`, `data` (in the middle of the message), `accepted` (not yet said), `left` (it was)."""

    def talk(self, connection: socket.socket, lines: Any) -> None:
        self.at("connected")
        headers = self._headers(lines)
        self.at("data")
        length = int(headers[b"content-length"])
        if len(lines.read(length)) < length:
            raise ConnectionError()
        self.taken.append(headers[b"webhook-id"].decode())
        self.at("accepted")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.left(connection)

    def _headers(self, lines: Any) -> dict[bytes, bytes]:
        headers = {}
        while (line := self.line(lines)) != b"\r\n":
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        return headers


@contextmanager
def listening(stages: Stages) -> Iterator[int]:
    """The port on which the receiver is at work."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=stages.serve, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
