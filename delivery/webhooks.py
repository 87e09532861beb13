"""Deliver webhook messages, with limits on time, size and destination.

Each attempt resolves the host name, checks the addresses, and connects to a checked address. This prevents DNS
rebinding. Redirects are not followed, and proxy environment variables are ignored.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from models import WebhookDelivery, clock
from models.database import release_connection
from models.webhooks import outcomes
from rules.delivery import webhook_signatures
from rules.delivery.event_types import TEST_EVENT
from rules.delivery.retries import WebhookResponse
from rules.delivery.webhook_addresses import Network, is_allowed, is_in_networks
from rules.plain_text import one_line

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
# For the whole attempt, even if the receiver responds slowly. Must be less than the time that a process has to stop.
TOTAL_SECONDS = 15.0
# To resolve a new webhook's host name.
CHECK_SECONDS = 2.0
MAX_RESPONSE_BYTES = 1024
MAX_ERROR_CHARACTERS = 200
FORBIDDEN = "The webhook's address is in a network that webhooks cannot be sent to."
UNRESOLVED = "The webhook's host name cannot be resolved."
NOT_ENCRYPTED = "Webhooks require https. Plain http is allowed only in WEBHOOK_ALLOWED_NETWORKS."


class ForbiddenDestination(Exception):
    """Webhooks cannot be sent to this destination. The message contains the reason."""


def deliver(delivery: WebhookDelivery, allowed_networks: Sequence[Network]) -> None:
    """Post a claimed message, signed with each valid secret, and record the outcome."""
    hook = delivery.webhook
    if hook.deleted_at or (not hook.is_enabled and delivery.type != TEST_EVENT):
        WebhookDelivery.cancel_queued(hook)
    elif delivery.attempts_exhausted:
        outcomes.record(delivery, WebhookResponse(failure="Every delivery attempt was interrupted."))
    else:
        body, timestamp = delivery.body.encode(), int(clock.now().timestamp())
        headers = webhook_signatures.headers(hook.signing_secrets, str(delivery.event_id), timestamp, body)
        if delivery.traceparent:
            headers["traceparent"] = delivery.traceparent
        release_connection()
        outcomes.record(delivery, post(hook.url, headers, body, allowed_networks))


def post(
    url: str, headers: dict[str, str], body: bytes, allowed_networks: Sequence[Network] = ()
) -> WebhookResponse:
    """Post JSON to a public address, or to one in `allowed_networks`."""
    start = time.monotonic()
    try:
        parts = urlsplit(url)
        response = _post(parts, resolve_address(parts, allowed_networks), headers, body)
    except ForbiddenDestination as error:
        response = WebhookResponse(failure=str(error))
    except (OSError, ValueError, HTTPException) as error:
        response = WebhookResponse(failure=_describe(error))
    return response._replace(duration_ms=round((time.monotonic() - start) * 1000))


def check_destination(url: str, allowed_networks: Sequence[Network]) -> str | None:
    """Return a warning if a new webhook's host name cannot be resolved, otherwise None.

    Raises ForbiddenDestination for a URL that webhooks cannot be sent to.
    """
    if url.startswith("http:") and not allowed_networks:
        raise ForbiddenDestination(NOT_ENCRYPTED)
    outcome: list[Exception | None] = [TimeoutError()]

    def check() -> None:
        try:
            resolve_address(urlsplit(url), allowed_networks)
            outcome[0] = None
        except Exception as error:
            outcome[0] = error

    # A thread, because the resolver has no timeout.
    thread = threading.Thread(target=check, daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    (error,) = outcome
    if error is None:
        return None
    if isinstance(error, OSError):
        return UNRESOLVED
    raise error


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


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _post(parts: SplitResult, address: str, headers: dict[str, str], body: bytes) -> WebhookResponse:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "Proofstone-Webhooks/1"} | headers
    with socket.create_connection((address, _port(parts)), CONNECT_SECONDS) as plain, _deadline(plain):
        plain.settimeout(READ_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(_connection(parts, plain)) as connection:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read(MAX_RESPONSE_BYTES)
        return WebhookResponse(
            status=response.status,
            body=content.decode(errors="replace").replace("\x00", "\ufffd"),
            retry_after=response.headers.get("Retry-After"),
        )


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
def _deadline(connection: socket.socket) -> Iterator[None]:
    """Raise TimeoutError in the block if it takes longer than TOTAL_SECONDS, by shutting down the connection."""
    expired = threading.Event()
    # TLS wrapping detaches the original socket.
    duplicate = connection.dup()

    def expire() -> None:
        expired.set()
        with suppress(OSError):
            duplicate.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(TOTAL_SECONDS, expire)
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


def _describe(error: Exception) -> str:
    """Describe an error for reviewers, without the resolved addresses."""
    if isinstance(error, socket.gaierror):
        return UNRESOLVED
    if isinstance(error, TimeoutError):
        return "The receiver did not respond in time."
    if isinstance(error, ConnectionRefusedError):
        return "The receiver rejected the connection."
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"The receiver's certificate is not trusted: {error.verify_message}"
        return one_line(reason, MAX_ERROR_CHARACTERS)
    return f"The connection failed ({type(error).__name__})."
