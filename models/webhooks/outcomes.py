"""Record the result of an attempt to post to a webhook."""

import random
from datetime import datetime
from typing import Any

import peewee

from models.base import clock, db
from models.ledger.audit import SERVICE, AuditEntry
from models.webhooks.receivers import disable
from models.webhooks.tables import Webhook, WebhookDelivery
from rules.delivery import retries
from rules.delivery.event_types import TEST_EVENT
from rules.delivery.retries import WebhookResponse


def record(delivery: WebhookDelivery, response: WebhookResponse) -> None:
    """Store the result, schedule the next attempt, and disable the webhook if the receiver is gone or keeps failing.

    Does nothing if the delivery was claimed again. A failed test delays further deliveries, but disables the
    webhook only if the response is 410.
    """
    now = clock.now()
    columns = {"attempted_at": now, "status": response.status, "duration_ms": response.duration_ms}
    columns |= {"last_error": response.error} | _next_state(delivery, response, now)
    answer = peewee.Case(None, ((WebhookDelivery.is_erased, None),), response.body)
    update = WebhookDelivery.update(answer=answer, **columns)
    with db.atomic():
        hook = delivery.webhook.lock()
        if update.where(delivery.is_current_claim()).execute():
            _record_health(hook, delivery, response, now)


def _next_state(delivery: WebhookDelivery, response: WebhookResponse, now: datetime) -> dict[str, Any]:
    if response.is_success:
        return {"state": "delivered"}
    delay = retries.webhook_retry_delay(delivery.attempts, response, now, random.random())
    if delay is None or response.is_gone or delivery.type == TEST_EVENT:
        return {"state": "failed"}
    return {"due_at": now + delay}


def _record_health(
    hook: Webhook, delivery: WebhookDelivery, response: WebhookResponse, now: datetime
) -> None:
    if response.is_success:
        if hook.failing_since or hook.held_until:
            hook.update_columns(failing_since=None, held_until=None)
        return
    delay = retries.receiver_delay(response, now)
    hook.update_columns(held_until=now + delay, last_error=response.error, last_error_at=now)
    if delivery.type == TEST_EVENT and not response.is_gone:
        return
    failing_since = hook.failing_since or now
    hook.update_columns(failing_since=failing_since)
    if response.is_gone or (hook.is_enabled and retries.should_disable_receiver(failing_since, now)):
        disable(hook, "gone" if response.is_gone else "failing")
        AuditEntry.record(hook.organization_id, "disableWebhook", SERVICE, "webhook", hook.id)
