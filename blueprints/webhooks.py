"""Webhooks: event receivers, and deliveries to them."""

from typing import Any

from access import audit, auth, caller, etags, raises, rate_limits
from access.idempotency import before_transaction, idempotent
from blueprints import Blueprint, find, page, setting, with_location
from delivery.webhooks import ForbiddenDestination, check_destination
from errors import TooManyWebhooks, WebhookDisabled, invalid
from models import ApiToken, Webhook, WebhookDelivery, clock, visibility
from models.webhooks import outbox, receivers
from schemas import webhooks as schemas
from schemas.queries import PageQuery

blp = Blueprint("Webhooks", __name__, description="Event receivers, according to Standard Webhooks 1.0.0.")


def _check_destination(data: dict[str, Any], webhook_id: Any = None) -> dict[str, Any]:
    """Reject a new URL that is not allowed; return the columns of a warning. Resolves the host name."""
    current = find(Webhook, webhook_id).url if webhook_id else None
    if data.get("url", current) == current:
        return {}
    try:
        warning = check_destination(data["url"], setting("WEBHOOK_ALLOWED_NETWORKS") or ())
    except ForbiddenDestination as error:
        raise invalid("url", str(error)) from None
    return {"last_error": warning, "last_error_at": warning and clock.now()}


@blp.get("/webhooks")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.Webhooks)
def list_webhooks(query):
    """List webhooks

    Oldest first, without secrets.
    """
    return page("webhooks", Webhook.visible_to(caller), query)


@blp.post("/webhooks")
@auth.required(ApiToken, scope="admin")
@with_location
@before_transaction(_check_destination, body=schemas.NewWebhook())
@idempotent
@raises(TooManyWebhooks)
@blp.arguments(schemas.NewWebhook)
@blp.response(201, schemas.WebhookWithSecret)
@audit.record_change(created="webhook")
def create_webhook(data, prepared):
    """Create a webhook

    Each new event is sent as a POST of `{id, type, timestamp, data}`, signed according to Standard Webhooks 1.0.0, at
    least once and with the same `webhook-id` in every attempt. A 2xx response within 10 seconds counts as delivered.
    Other responses are retried for about three days; 410 disables the webhook. A URL in a forbidden network is
    rejected. A host name that cannot be resolved is accepted and reported in `lastError`. The secret is shown only in
    this response.
    """
    hook = receivers.create(caller.organization, **data, **prepared)
    return {"webhook": hook, "secret": hook.secret}


@blp.get("/webhooks/<id:webhook_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.WebhookResponse)
def get_webhook(webhook_id):
    """Get a webhook

    Includes its state, and the time since which it has been failing.
    """
    return {"webhook": find(Webhook, webhook_id)}


@blp.patch("/webhooks/<id:webhook_id>")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@blp.arguments(schemas.WebhookUpdate)
@blp.response(200, schemas.WebhookResponse)
@audit.record_change(prepare=_check_destination)
def update_webhook(data, webhook_id, prepared):
    """Update a webhook

    Changes its URL or event types, or enables or disables it. Events are not sent while it is disabled; read them from
    the feed (`GET /v1/events`).
    """
    check = etags.precondition(lambda: schemas.WebhookResponse().dump({"webhook": find(Webhook, webhook_id)}))
    return {"webhook": receivers.update(find(Webhook, webhook_id), data | prepared, check)}


@blp.delete("/webhooks/<id:webhook_id>")
@auth.required(ApiToken, scope="admin")
@blp.response(200, schemas.DeletedWebhook)
@audit.record_change()
def delete_webhook(webhook_id):
    """Delete a webhook

    Queued deliveries are canceled.
    """
    receivers.delete(find(Webhook, webhook_id))
    return {"ok": True, "id": webhook_id}


@blp.post("/webhooks/<id:webhook_id>/rotate-secret")
@auth.required(ApiToken, scope="admin")
@idempotent
@blp.response(200, schemas.WebhookWithSecret)
@audit.record_change()
def rotate_secret(webhook_id):
    """Rotate a webhook's secret

    The new secret is shown only in this response. For one day, messages are also signed with the previous secret, so
    the receiver can switch without losing messages.
    """
    hook = receivers.rotate_secret(find(Webhook, webhook_id))
    return {"webhook": hook, "secret": hook.secret}


@blp.post("/webhooks/<id:webhook_id>/test")
@auth.required(ApiToken, scope="admin")
@idempotent
@blp.response(202, schemas.HookDeliveryResponse)
@audit.record_change()
def test_webhook(webhook_id):
    """Test a webhook

    Queues a `webhook.test` event, even for a disabled webhook. It is sent only once, and the result appears in the
    webhook's deliveries. After a failure, tests wait like other messages. Each webhook is limited to 10 tests and
    redeliveries per minute.
    """
    hook = find(Webhook, webhook_id)
    rate_limits.count(rate_limits.WEBHOOK_TESTS, hook.id)
    return {"delivery": outbox.enqueue_test(hook)}


@blp.get("/webhooks/<id:webhook_id>/deliveries")
@auth.required(ApiToken)
@blp.arguments(schemas.HookDeliveryQuery, location="query")
@blp.response(200, schemas.HookDeliveries)
def list_webhook_deliveries(query, webhook_id):
    """List a webhook's deliveries

    Oldest first, with the request body and the latest attempt's result. Deleted after 30 days.
    """
    rows = WebhookDelivery.of(find(Webhook, webhook_id))
    if "state" in query:
        rows = rows.where(WebhookDelivery.state == query["state"])
    response = page("deliveries", rows, query)
    return response | {"deliveries": visibility.redact_webhook_messages(caller, response["deliveries"])}


@blp.post("/webhooks/<id:webhook_id>/deliveries/<id:message_id>/redeliver")
@auth.required(ApiToken, scope="admin")
@idempotent
@raises(WebhookDisabled)
@blp.response(202, schemas.HookDeliveryResponse)
@audit.record_change()
def redeliver_webhook_message(webhook_id, message_id):
    """Redeliver a message

    Sends the message again with the same `webhook-id`, even if it was delivered before, and retries it if needed. After
    a failure, it waits like other messages. Each webhook is limited to 10 tests and redeliveries per minute.
    """
    hook = find(Webhook, webhook_id)
    delivery = find(WebhookDelivery, message_id, WebhookDelivery.of(hook))
    rate_limits.count(rate_limits.WEBHOOK_TESTS, hook.id)
    (message,) = visibility.redact_webhook_messages(caller, [outbox.redeliver(delivery)])
    return {"delivery": message}
