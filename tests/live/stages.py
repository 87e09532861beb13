"""Receivers of mail and webhooks that pause a delivery at a given stage, so that its worker can be killed there.

Stages: `connected`, `data` (half of the message is sent), `accepted` (the response is not sent yet), `disconnected`.
"""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from typing import Any

from tests.delivery.mail_server import HOST
from tests.live.service import TIMEOUT_SECONDS


class Pause:
    """A pause at a stage: `reached` by the delivery, and `resumed` by the test."""

    def __init__(self) -> None:
        self.reached, self.resumed = threading.Event(), threading.Event()


class Receiver(ABC):
    """A receiver of one delivery at a time; `received` has the ids of complete messages."""

    def __init__(self) -> None:
        self.pauses: dict[str, Pause] = {}
        self.received: list[str] = []
        self.is_idle = threading.Event()

    def pause_at(self, stage: str) -> Pause:
        """Pause the next delivery at this stage."""
        return self.pauses.setdefault(stage, Pause())

    def resume(self, pause: Pause) -> None:
        """Resume after the sender was killed, and wait until its connection is closed."""
        pause.resumed.set()
        assert self.is_idle.wait(TIMEOUT_SECONDS), "The connection of a killed sender is still open."

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.is_idle.clear()
                # A killed sender closes the connection at any stage.
                with connection, suppress(OSError):
                    self._receive(connection, connection.makefile("rb"))
                    # The worker closes the connection after the response, and records the outcome after that.
                    while connection.recv(100):
                        pass
                    self._reach("disconnected")
                self.is_idle.set()

    @abstractmethod
    def _receive(self, connection: socket.socket, lines: Any) -> None:
        """Receive one message, and respond."""

    def _reach(self, stage: str) -> None:
        if pause := self.pauses.pop(stage, None):
            pause.reached.set()
            pause.resumed.wait(TIMEOUT_SECONDS)


class MailReceiver(Receiver):
    def _receive(self, connection: socket.socket, lines: Any) -> None:
        self._reach("connected")
        connection.sendall(b"220 ready\r\n")
        for line in iter(lines.readline, b""):
            command = line.split()[0].upper()
            if command == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                break
            if command == b"DATA":
                connection.sendall(b"354 go on\r\n")
                self._receive_mail(lines)
            connection.sendall(b"250 ok\r\n")

    def _receive_mail(self, lines: Any) -> None:
        mail = _line(lines)
        self._reach("data")
        while not mail.endswith(b"\r\n.\r\n"):
            mail += _line(lines)
        self.received.append(str(message_from_bytes(mail, policy=policy.default)["Message-ID"]))
        self._reach("accepted")


class WebhookReceiver(Receiver):
    def _receive(self, connection: socket.socket, lines: Any) -> None:
        self._reach("connected")
        headers = {}
        while (line := _line(lines)) != b"\r\n":
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        self._reach("data")
        length = int(headers[b"content-length"])
        if len(lines.read(length)) < length:
            raise ConnectionError()
        self.received.append(headers[b"webhook-id"].decode())
        self._reach("accepted")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _line(lines: Any) -> bytes:
    """Read the next line; raises ConnectionError if the sender is gone."""
    line = lines.readline()
    if not line:
        raise ConnectionError()
    return line


@contextmanager
def listening(receiver: Receiver) -> Iterator[int]:
    """Run the receiver; returns its port."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=receiver.serve, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
