"""Publish events: number them in the feed and queue them for the webhooks."""

from datetime import datetime
from typing import Any

import peewee

from errors import WebhookDisabled
from models.base import clock, db, for_update, new_id
from models.feed import Feed, FeedEvent
from models.keys import CandidateKey
from models.numbering import number_all
from models.webhooks.tables import Webhook, WebhookDelivery, json_body
from rules.delivery.event_types import TEST_EVENT
from rules.timestamps import format_timestamp

MAX_ROWS_PER_INSERT = 100


def publish_new() -> int:
    """Number committed events and queue them for the webhooks. Returns how many."""
    return number_all("publish", FeedEvent.unnumbered().select(FeedEvent.organization), _publish_batch)


def _publish_batch(organization_id: Any) -> int:
    hooks = Webhook.alive().where(Webhook.organization == organization_id, Webhook.disabled_reason.is_null())
    with db.atomic():
        events = Feed.number_batch(organization_id)
        pairs = [(hook, event) for hook in hooks for event in events if hook.is_subscribed_to(event.type)]
        candidates = _lock_candidates({event.candidate_id for _, event in pairs} - {None})
        rows = [_row(hook, event, candidates.get(event.candidate_id)) for hook, event in pairs]
        for batch in peewee.chunked(rows, MAX_ROWS_PER_INSERT):
            WebhookDelivery.insert_many(batch).execute()
    return len(events)


def _row(hook: Webhook, event: FeedEvent, key: CandidateKey | None) -> dict[str, Any]:
    event.external_id = None if key is None else key.external_id
    data = event.public_data
    if key is not None and hook.include_personal:
        data = data | {"candidate": {"name": key.candidate_name, "email": key.candidate_email}}
    return {
        "id": new_id(),
        "webhook": hook.id,
        "event_id": event.id,
        "type": event.type,
        "candidate_id": event.candidate_id,
        "body": _body(event.id, event.type, event.created_at, data),
        "traceparent": event.traceparent,
    }


def _lock_candidates(ids: set[str]) -> dict[str, CandidateKey]:
    """Lock candidates against erasure until the bodies are stored. Returns them by id."""
    keys = CandidateKey.select().where(CandidateKey.id.in_(ids)).order_by(CandidateKey.id)
    return {str(key.id): key for key in for_update(keys, "FOR SHARE")} if ids else {}


def enqueue_test(hook: Webhook) -> WebhookDelivery:
    """Queue a test event, even for a disabled webhook. It is attempted once."""
    event_id = new_id()
    body = _body(event_id, TEST_EVENT, clock.now(), {"webhookId": str(hook.id)})
    return WebhookDelivery.create(webhook=hook, event_id=event_id, type=TEST_EVENT, body=body)


def redeliver(delivery: WebhookDelivery) -> WebhookDelivery:
    """Queue a delivery again, due now and with zero attempts. Raises WebhookDisabled."""
    if not delivery.webhook.is_enabled and delivery.type != TEST_EVENT:
        raise WebhookDisabled()
    # A worker could have claimed a queued delivery; the number of attempts identifies its claim.
    is_queued = WebhookDelivery.state == "queued"
    attempts = peewee.Case(None, ((is_queued, WebhookDelivery.attempts),), 0)
    update = WebhookDelivery.update(state="queued", attempts=attempts, due_at=clock.now())
    update.where(WebhookDelivery.id == delivery.id).execute()
    return WebhookDelivery.get_by_id(delivery.id)


def _body(event_id: Any, event_type: str, created_at: datetime, data: dict[str, Any]) -> str:
    event = {"id": str(event_id), "type": event_type, "timestamp": format_timestamp(created_at)}
    return json_body(event | {"data": data})
