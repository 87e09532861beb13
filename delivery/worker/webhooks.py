"""Deliver one webhook message."""

from collections.abc import Sequence

from delivery.webhooks import post
from models import WebhookDelivery, clock
from models.webhooks import outcomes
from models.webhooks.tables import TEST_EVENT
from rules import webhook_signatures
from rules.retries import WebhookResponse
from rules.webhook_addresses import Network


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
        outcomes.record(delivery, post(hook.url, headers, body, allowed_networks))
