"""Webhooks: who is told of events, and what was sent to them."""

from access import audit, auth
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, find_among, page, refuses
from errors import TooManyWebhooks, WebhookDisabled
from models import ApiToken, Webhook, WebhookDelivery
from schemas import PageQuery
from schemas.webhooks import (
    DeletedWebhook,
    HookDeliveries,
    HookDeliveryQuery,
    NewWebhook,
    OneHookDelivery,
    OneWebhook,
    ShownWebhook,
    WebhookChange,
    Webhooks,
)

blp = Blueprint("Webhooks", __name__, description="Who is told of events, by Standard Webhooks 1.0.0.")


@blp.get("/webhooks")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, Webhooks)
def list_webhooks(query):
    """List webhooks

    A page of the organization's webhooks, oldest first, without their secrets.
    """
    rows = Webhook.visible_to(caller).order_by(Webhook.created_at, Webhook.id)
    return page("webhooks", rows, query["limit"], query["offset"])


@blp.post("/webhooks")
@auth.required(ApiToken, scope="write")
@idempotent
@refuses(TooManyWebhooks)
@blp.arguments(NewWebhook)
@blp.response(201, ShownWebhook)
@audit.change(created="webhook")
def create_webhook(data):
    """Create a webhook

    Each event from now on is sent as a POST of `{id, type, timestamp, data}`, signed by Standard Webhooks 1.0.0, at
    least once and under the same `webhook-id` at each try. An answer of 2xx within 10 seconds counts as delivered; all
    else is tried again for about three days, 410 switches the webhook off. The secret is in this answer and cannot be
    shown again.
    """
    hook = Webhook.add(caller.organization, **data)
    return {"webhook": hook, "secret": hook.secret}


@blp.get("/webhooks/<id:webhook_id>")
@auth.required(ApiToken)
@blp.response(200, OneWebhook)
def get_webhook(webhook_id):
    """Get a webhook

    With how it does: whether it is on, and since when it has been failing.
    """
    return {"webhook": find(Webhook, webhook_id)}


@blp.patch("/webhooks/<id:webhook_id>")
@auth.required(ApiToken, scope="write")
@blp.arguments(WebhookChange)
@blp.response(200, OneWebhook)
@audit.change()
def change_webhook(data, webhook_id):
    """Change a webhook

    Its address, its types, or whether it is on. What happened while it was off is in the feed (`GET /v1/events`).
    """
    return {"webhook": find(Webhook, webhook_id).change(data)}


@blp.delete("/webhooks/<id:webhook_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedWebhook)
@audit.change()
def delete_webhook(webhook_id):
    """Delete a webhook

    Nothing is sent to it any more, also of what waits.
    """
    find(Webhook, webhook_id).delete_softly()
    return {"ok": True, "id": webhook_id}


@blp.post("/webhooks/<id:webhook_id>/rotate-secret")
@auth.required(ApiToken, scope="write")
@blp.response(200, ShownWebhook)
@audit.change()
def rotate_secret(webhook_id):
    """Rotate a webhook's secret

    The new secret is in this answer and cannot be shown again. For a day messages carry a signature of the former one
    too, so that a receiver can change over without losing any.
    """
    hook = find(Webhook, webhook_id).rotate()
    return {"webhook": hook, "secret": hook.secret}


@blp.post("/webhooks/<id:webhook_id>/test")
@auth.required(ApiToken, scope="write")
@blp.response(202, OneHookDelivery)
@audit.change()
def test_webhook(webhook_id):
    """Test a webhook

    Queues a message of the type `webhook.test`, also for a webhook that is off. It has one try; what came of it stands
    in the deliveries a moment later.
    """
    return {"delivery": WebhookDelivery.enqueue_test(find(Webhook, webhook_id))}


@blp.get("/webhooks/<id:webhook_id>/deliveries")
@auth.required(ApiToken)
@blp.arguments(HookDeliveryQuery, location="query")
@blp.response(200, HookDeliveries)
def list_webhook_deliveries(query, webhook_id):
    """List a webhook's deliveries

    A page of them, oldest first, each with what was sent and what came of the last try. Kept for 30 days.
    """
    rows = WebhookDelivery.of(find(Webhook, webhook_id))
    if "state" in query:
        rows = rows.where(WebhookDelivery.state == query["state"])
    rows = rows.order_by(WebhookDelivery.created_at, WebhookDelivery.id)
    return page("deliveries", rows, query["limit"], query["offset"])


@blp.post("/webhooks/<id:webhook_id>/deliveries/<id:message_id>/redeliver")
@auth.required(ApiToken, scope="write")
@refuses(WebhookDisabled)
@blp.response(202, OneHookDelivery)
@audit.change()
def redeliver(webhook_id, message_id):
    """Deliver again

    The same message under the same `webhook-id`, at once and with all tries; also one that has arrived before.
    """
    deliveries = WebhookDelivery.of(find(Webhook, webhook_id))
    return {"delivery": find_among(deliveries, message_id).redeliver()}
