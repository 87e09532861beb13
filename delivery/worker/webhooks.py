"""Deliver one webhook message."""

from collections.abc import Sequence

from delivery import webhooks
from models import WebhookDelivery
from models.webhooks import outcomes
from models.webhooks.tables import TEST_EVENT
from rules.destinations import Network
from rules.hook_replies import Reply


def deliver(delivery: WebhookDelivery, allowed_networks: Sequence[Network]) -> None:
    """Post a claimed message and record the outcome."""
    hook = delivery.webhook
    if hook.deleted_at or (not hook.is_enabled and delivery.type != TEST_EVENT):
        WebhookDelivery.cancel_queued(hook)
    elif delivery.attempts_exhausted:
        outcomes.record(delivery, Reply(words="Every delivery attempt was interrupted."))
    else:
        outcomes.record(delivery, webhooks.deliver(delivery, allowed_networks))
