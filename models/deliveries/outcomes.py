"""Record the result of a delivery attempt, unless the message was claimed again."""

from typing import Any

from models.base import clock, db
from models.deliveries.table import INVITATION, Delivery
from models.feed import FeedEvent
from rules.delivery.retries import retry_delay

# Feed event types, by state of the invitation.
EVENT_TYPES = {"sent": "invite.sent", "saved": "invite.sent", "failed": "invite.failed"}


def succeed(delivery: Delivery, state: str) -> None:
    """Record success; `state` is `sent`, `saved` or `done`."""
    _finish(delivery, state, last_error=None, sent_at=clock.now() if state == "sent" else None)


def fail(delivery: Delivery, reason: str) -> None:
    _finish(delivery, "failed", last_error=reason)


def cancel(delivery: Delivery, reason: str) -> None:
    _finish(delivery, "canceled", last_error=reason)


def postpone(delivery: Delivery, reason: str) -> None:
    """Record a temporary failure. Retries after a delay, or fails after the last attempt."""
    delay = retry_delay(delivery.attempts)
    if delay is None:
        fail(delivery, reason)
    else:
        _finish(delivery, "queued", last_error=reason, due_at=clock.now() + delay)


def mark_bounced(delivery_ids: list[Any], reason: str) -> None:
    """Mark messages that the email server accepted but later bounced as failed."""
    is_changed = Delivery.id.in_(delivery_ids) & Delivery.state.not_in(("canceled", "failed"))
    update = Delivery.update(state="failed", last_error=reason).where(is_changed)
    for delivery in update.returning(Delivery).execute():
        _publish(delivery, "failed")


def _finish(delivery: Delivery, state: str, **columns: Any) -> None:
    update = Delivery.update(state=state, **columns).where(delivery.is_current_claim())
    with db.atomic():
        if update.execute() and delivery.kind == INVITATION and state in EVENT_TYPES:
            _publish(delivery, state)


def _publish(delivery: Delivery, state: str) -> None:
    payload = {"candidateId": delivery.subject_id, "inviteId": delivery.id, "state": state}
    FeedEvent.publish(delivery.organization_id, EVENT_TYPES[state], payload)
