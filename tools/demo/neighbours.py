"""The demo's other servers on this machine: an email server and webhook receivers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, NamedTuple

HOST = "127.0.0.1"
# The email server knows no address of this domain.
REFUSED_DOMAIN = "@mailbox.invalid"


class Neighbours(NamedTuple):
    """The settings with which a service uses them, and the base URL of the receivers."""

    smtp_url: str
    receivers: str

    @property
    def settings(self) -> dict[str, str]:
        return {"SMTP_URL": self.smtp_url, "WEBHOOK_ALLOWED_NETWORKS": f"{HOST}/32"}


@contextmanager
def neighbours(mail_folder: Path) -> Iterator[Neighbours]:
    """Run the servers. Emails are saved in the folder."""
    with MailServer(mail_folder) as mail, Receivers() as receivers:
        for server in (mail, receivers):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            smtp_url = f"smtp://{HOST}:{mail.server_address[1]}?tls=none"
            yield Neighbours(smtp_url, f"http://{HOST}:{receivers.server_address[1]}")
        finally:
            mail.shutdown()
            receivers.shutdown()


class MailServer(ThreadingTCPServer):
    """Accepts emails and saves them, but not to REFUSED_DOMAIN."""

    daemon_threads = True

    def __init__(self, folder: Path):
        self.folder, self._count, self._lock = folder, 0, threading.Lock()
        super().__init__((HOST, 0), MailHandler)

    def save(self, message: bytes) -> None:
        with self._lock:
            self._count += 1
            number = self._count
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{number:03}.eml").write_bytes(message)


class MailHandler(StreamRequestHandler):
    """As much of SMTP as one message of the worker needs."""

    server: MailServer

    def handle(self) -> None:
        self._answer("220 Demo")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self._receive()
            elif command == b"QUIT":
                self._answer("221 Bye")
                return
            elif command == b"RCPT" and REFUSED_DOMAIN.encode() in line:
                self._answer("550 5.1.1 The mailbox does not exist")
            else:
                self._answer("250 OK")

    def _receive(self) -> None:
        self._answer("354 Go on")
        lines = list(iter(self.rfile.readline, b".\r\n"))
        self.server.save(b"".join(line.removeprefix(b".") for line in lines))
        self._answer("250 OK")

    def _answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Receivers(ThreadingHTTPServer):
    """Accepts webhooks, except on `/chat`, which is out of order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), ReceiverHandler)


class ReceiverHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        fails = self.path == "/chat"
        content = b"upstream connect error: channel_not_found" if fails else b"ok"
        self.send_response(503 if fails else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
