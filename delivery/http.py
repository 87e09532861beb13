"""Send HTTP requests, with limits on time, size and destination.

Each request resolves the host name, checks the addresses, and connects to a checked address. This prevents DNS
rebinding. Redirects are not followed, and proxy environment variables are ignored.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from rules.delivery.webhook_addresses import Network, is_allowed, is_in_networks
from rules.plain_text import one_line

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
MAX_ERROR_CHARACTERS = 200
FORBIDDEN = "The webhook's address is in a network that webhooks cannot be sent to."
NOT_ENCRYPTED = "Webhooks require https. Plain http is allowed only in WEBHOOK_ALLOWED_NETWORKS."
# Errors of `send`, except ForbiddenDestination.
ERRORS = (OSError, ValueError, HTTPException)


class ForbiddenDestination(Exception):
    """Requests cannot be sent to this destination. The message contains the reason."""


class Response(NamedTuple):
    """A response. Header names are case-insensitive."""

    status: int
    headers: HTTPMessage
    body: bytes


def send(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    allowed_networks: Sequence[Network],
    *,
    total_seconds: float,
    max_bytes: int,
) -> Response:
    """Send a request to a public address, or to one in `allowed_networks`. Raises ForbiddenDestination and ERRORS.

    total_seconds -- from the established connection to the end of the response
    max_bytes -- the response's body is truncated to this size
    """
    parts = urlsplit(url)
    address = resolve_address(parts, allowed_networks)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with (
        socket.create_connection((address, _port(parts)), CONNECT_SECONDS) as plain,
        _deadline(plain, total_seconds),
    ):
        plain.settimeout(READ_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(_connection(parts, plain)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read(max_bytes)
        return Response(response.status, response.headers, content)


def resolve_address(parts: SplitResult, allowed_networks: Sequence[Network]) -> str:
    """Return the host name's first address. Raises ForbiddenDestination unless all of its addresses are allowed."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ForbiddenDestination("The webhook's URL must start with http or https.")
    resolved = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in resolved]
    if not all(is_allowed(address, allowed_networks) for address in addresses):
        raise ForbiddenDestination(FORBIDDEN)
    is_plain = parts.scheme == "http"
    if is_plain and not all(is_in_networks(address, allowed_networks) for address in addresses):
        raise ForbiddenDestination(NOT_ENCRYPTED)
    return addresses[0]


def describe(error: Exception, receiver: str = "The receiver") -> str:
    """Describe one of ERRORS, without the resolved addresses."""
    if isinstance(error, socket.gaierror):
        return f"{receiver}'s host name cannot be resolved."
    if isinstance(error, TimeoutError):
        return f"{receiver} did not respond in time."
    if isinstance(error, ConnectionRefusedError):
        return f"{receiver} rejected the connection."
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"{receiver}'s certificate is not trusted: {error.verify_message}"
        return one_line(reason, MAX_ERROR_CHARACTERS)
    return f"The connection failed ({type(error).__name__})."


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _connection(parts: SplitResult, plain: socket.socket) -> HTTPConnection:
    """Wrap the socket in an HTTP or HTTPS connection, with the URL's host name for Host and the certificate check."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        connection = HTTPConnection(host, _port(parts))
        connection.sock = plain
    else:
        context = ssl.create_default_context()
        connection = HTTPSConnection(host, _port(parts), context=context)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
    return connection


@contextmanager
def _deadline(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Raise TimeoutError if the block takes longer than `seconds`, by shutting down the connection."""
    expired = threading.Event()
    # TLS wrapping detaches the original socket.
    duplicate = connection.dup()

    def expire() -> None:
        expired.set()
        with suppress(OSError):
            duplicate.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, expire)
    timer.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        if expired.is_set():
            raise TimeoutError() from error
        raise
    finally:
        timer.cancel()
        duplicate.close()
    # A truncated response can look complete.
    if expired.is_set():
        raise TimeoutError()
