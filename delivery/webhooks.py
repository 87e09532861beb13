"""One signed POST to a receiver, with limits on time, size and destination.

The destination is resolved and checked at each try, and the connection is made to an address that was checked: a name
that answers with another address a moment later leads nowhere. Redirects are not followed, and no proxy of the
environment is asked.
"""

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from models import WebhookDelivery, clock
from rules import destinations, signatures
from rules.hook_replies import Reply
from rules.wording import one_line

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
# For all of it, however slowly the receiver speaks; below what a process is given to stop.
TOTAL_SECONDS = 15.0
ANSWER_BYTES = 1024
WORDS_LIMIT = 200
FORBIDDEN = "The address lies in a network that webhooks may not go to."
NOT_ENCRYPTED = "Webhooks go over https; plain http is for networks that the service's settings open."


class Refused(Exception):
    """The destination is not one that webhooks may go to; the text says why."""


def deliver(delivery: WebhookDelivery, opened: Sequence[destinations.Network] = ()) -> Reply:
    """Send a message to its receiver, signed with each of its secrets; never raises for what a receiver does."""
    hook, body = delivery.webhook, delivery.body.encode()
    timestamp = int(clock.now().timestamp())
    signed = signatures.headers(hook.secrets, str(delivery.event_id), timestamp, body)
    return post(hook.url, signed, body, opened)


def post(
    url: str, headers: dict[str, str], body: bytes, opened: Sequence[destinations.Network] = ()
) -> Reply:
    """One POST of JSON to the receiver; `opened` are the networks that may be reached besides the internet."""
    began = time.monotonic()
    try:
        parts = urlsplit(url)
        reply = _post_to(parts, checked_address(parts, opened), headers, body)
    except Refused as error:
        reply = Reply(words=str(error))
    except (OSError, ValueError, HTTPException, urllib3.exceptions.HTTPError) as error:
        reply = Reply(words=_said(error))
    return reply._replace(duration_ms=round((time.monotonic() - began) * 1000))


def checked_address(parts: SplitResult, opened: Sequence[destinations.Network]) -> str:
    """The first address of the destination; Refused where any of them may not be gone to.

    A name with an address inside and another outside is refused as a whole, since the next try may meet the other.
    """
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("The address is no http or https URL.")
    found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    addresses = [str(place[0]) for *_, place in found]
    if not all(destinations.is_allowed(address, opened) for address in addresses):
        raise Refused(FORBIDDEN)
    if parts.scheme == "http" and not all(_is_inside(addresses, opened)):
        raise Refused(NOT_ENCRYPTED)
    return addresses[0]


def _is_inside(addresses: Iterable[str], opened: Sequence[destinations.Network]) -> Iterator[bool]:
    return (destinations.is_opened(address, opened) for address in addresses)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


class _ToAddress:
    """A connection to an address that was checked; name, certificate and Host stay those of the URL."""

    address = ""
    # A second handle of the socket: TLS takes the first one over, and leaves nothing to close it by.
    handle: socket.socket | None = None
    was_cut = False

    def _new_conn(self) -> socket.socket:
        connection = socket.create_connection((self.address, self.port), CONNECT_SECONDS)  # type: ignore[attr-defined]
        self.handle = connection.dup()
        connection.settimeout(READ_SECONDS)
        return connection

    def cut(self) -> None:
        """End the connection at once, from another thread, whatever the receiver is at."""
        self.was_cut = True
        if self.handle is not None:
            with suppress(OSError):
                self.handle.shutdown(socket.SHUT_RDWR)


class _Plain(_ToAddress, HTTPConnection):
    pass


class _Encrypted(_ToAddress, HTTPSConnection):
    pass


def _post_to(parts: SplitResult, address: str, headers: dict[str, str], body: bytes) -> Reply:
    kind = _Encrypted if parts.scheme == "https" else _Plain
    connection = kind(parts.hostname or "", _port(parts), timeout=READ_SECONDS)
    connection.address = address
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Content-Type": "application/json", "User-Agent": "Proofstone-Webhooks/1"} | headers
    with _within(TOTAL_SECONDS, connection):
        connection.request("POST", path, body, sent, preload_content=False, decode_content=False)
        response = connection.getresponse()
        answer = response.read(ANSWER_BYTES)
        return Reply(
            status=response.status,
            answer=answer.decode(errors="replace").replace("\x00", "\ufffd"),
            retry_after=response.headers.get("Retry-After"),
        )


@contextmanager
def _within(seconds: float, connection: _Plain | _Encrypted) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.cut)
    timer.start()
    try:
        yield
        # A head or a body that was cut reads as if it had ended.
        if connection.was_cut:
            raise TimeoutError()
    except (OSError, HTTPException, urllib3.exceptions.HTTPError) as error:
        if connection.was_cut:
            raise TimeoutError() from error
        raise
    finally:
        timer.cancel()
        connection.close()
        if connection.handle is not None:
            connection.handle.close()


def _said(error: Exception) -> str:
    """What went wrong, for whoever set the receiver up, with nothing of where the name leads."""
    if isinstance(error, socket.gaierror):
        return "The name of the receiver cannot be resolved."
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "The receiver did not answer in time."
    if isinstance(error, ConnectionRefusedError):
        return "The receiver refused the connection."
    if isinstance(error, urllib3.exceptions.SSLError | OSError) and "certificate" in str(error).lower():
        return one_line(f"The receiver's certificate cannot be trusted: {_reason(error)}", WORDS_LIMIT)
    return f"The connection failed ({type(error).__name__})."


def _reason(error: Exception) -> str:
    return str(getattr(error, "verify_message", "") or "it does not fit the name, or nobody known signed it")
