"""Deliver webhook messages."""

import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from delivery import http
from delivery.http import ForbiddenDestination
from models import WebhookDelivery, clock
from models.database import release_connection
from models.webhooks import outcomes
from rules.delivery import webhook_signatures
from rules.delivery.event_types import TEST_EVENT
from rules.delivery.retries import WebhookResponse
from rules.delivery.webhook_addresses import Network

# For the whole attempt, even if the receiver responds slowly. Must be less than the time that a process has to stop.
TOTAL_SECONDS = 15.0
# To resolve a new webhook's host name.
CHECK_SECONDS = 2.0
MAX_RESPONSE_BYTES = 1024
UNRESOLVED = "The webhook's host name cannot be resolved."


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
    headers = {"Content-Type": "application/json", "User-Agent": "Proofstone-Webhooks/1"} | headers
    try:
        status, received, content = http.send(
            *("POST", url, headers, body, allowed_networks),
            total_seconds=TOTAL_SECONDS,
            max_bytes=MAX_RESPONSE_BYTES,
        )
        text = content.decode(errors="replace").replace("\x00", "\ufffd")
        response = WebhookResponse(status=status, body=text, retry_after=received.get("Retry-After"))
    except ForbiddenDestination as error:
        response = WebhookResponse(failure=str(error))
    except socket.gaierror:
        response = WebhookResponse(failure=UNRESOLVED)
    except http.ERRORS as error:
        response = WebhookResponse(failure=http.describe(error))
    return response._replace(duration_ms=round((time.monotonic() - start) * 1000))


def check_destination(url: str, allowed_networks: Sequence[Network]) -> str | None:
    """Return a warning if a new webhook's host name cannot be resolved, otherwise None.

    Raises ForbiddenDestination for a URL that webhooks cannot be sent to.
    """
    if url.startswith("http:") and not allowed_networks:
        raise ForbiddenDestination(http.NOT_ENCRYPTED)
    outcome: list[Exception | None] = [TimeoutError()]

    def check() -> None:
        try:
            http.resolve_address(urlsplit(url), allowed_networks)
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
