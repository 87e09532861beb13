"""What waits to be done, for those who watch over it: counted by the indexes that the worker itself uses."""

import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from models.audit import AuditEntry
from models.base import clock
from models.deliveries import Delivery
from models.feed import FeedEvent
from models.seals import Seal, unsealed
from models.sessions import Event
from models.webhooks import Webhook, WebhookDelivery

# All tries of a message are over by then, so that a later failure belongs to a younger message.
TRIES_LAST = timedelta(days=4)
WEBHOOK = "webhook"
# Messages to candidates and removals, messages to webhooks, events without a number in the feed, entries of the audit
# log that are not chained, and candidates' events without a seal.
NAMES = ("delivery", WEBHOOK, "feed", "audit", "seal")


class Count(NamedTuple):
    """How many messages of a kind are `due`, `waiting` (for their next try, or with a worker) or `failed`."""

    kind: str
    state: str
    rows: int


def counts() -> list[Count]:
    """Messages that wait, and of those of the last days the failed; kinds and states without any are left out."""
    is_webhook = peewee.Value(WEBHOOK)
    return [
        *_waiting(Delivery, Delivery.kind),
        *_waiting(WebhookDelivery, is_webhook),
        *_failed(Delivery, Delivery.kind),
        *_failed(WebhookDelivery, is_webhook),
    ]


def _waiting(table: Any, kind: Any) -> list[Count]:
    state = peewee.Case(None, ((table.due_at <= clock.now(), "due"),), "waiting").alias("state")
    return _counted(table, kind, state, table.state == "queued")


def _failed(table: Any, kind: Any) -> list[Count]:
    # Ids ascend with time, and have an index.
    young = table.id >= _first_id(clock.now() - TRIES_LAST)
    return _counted(table, kind, table.state.alias("state"), (table.state == "failed") & young)


def _counted(table: Any, kind: Any, state: Any, which: Any) -> list[Count]:
    kind = kind.alias("kind")
    query = table.select(kind, state, peewee.fn.COUNT(table.id)).where(which)
    rows = query.group_by(peewee.SQL("1"), peewee.SQL("2")).tuples()
    return [Count(*row) for row in rows]


def _first_id(moment: datetime) -> uuid.UUID:
    """The least id that can have been made at a moment."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def failed_since(moment: datetime) -> int:
    """How many messages, to candidates and to webhooks, were given up since then; reads all that ever failed."""
    # A claim sets due_at to the end of its lease, and a failure leaves it there.
    tables: tuple[Any, ...] = (Delivery, WebhookDelivery)
    return sum(
        table.select().where(table.state == "failed", table.due_at >= moment).count() for table in tables
    )


def oldest_due() -> dict[str, datetime]:
    """Since when the oldest of each queue (see NAMES) has been due; those that are empty are left out."""
    found = {
        "delivery": _least(Delivery, Delivery.due_at, _is_due(Delivery)),
        WEBHOOK: _least(WebhookDelivery, WebhookDelivery.due_at, _is_due(WebhookDelivery) & ~_is_held()),
        "feed": _least(FeedEvent, FeedEvent.created_at, FeedEvent.position.is_null()),
        "audit": _least(AuditEntry, AuditEntry.created_at, AuditEntry.position.is_null()),
        "seal": _oldest_unsealed(),
    }
    return {name: moment for name, moment in found.items() if moment}


def _is_due(table: Any) -> Any:
    return (table.state == "queued") & (table.due_at <= clock.now())


def _is_held() -> Any:
    """A receiver that asked for a pause keeps its messages waiting; that is no fault of the worker."""
    held = Webhook.select(Webhook.id).where(Webhook.held_until > clock.now())
    return WebhookDelivery.webhook.in_(held)


def _least(table: Any, column: Any, which: Any) -> datetime | None:
    return table.select(peewee.fn.MIN(column)).where(which).scalar()


def _oldest_unsealed() -> datetime | None:
    rows: Any = unsealed(Seal.search_start()).select(peewee.fn.MIN(Event.received_at))
    return rows.scalar()
