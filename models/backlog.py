"""Queue lengths and ages, for monitoring."""

import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from models.assessments import Assessment
from models.base import clock
from models.deliveries import Delivery
from models.feed import FeedEvent
from models.ledger.audit import AuditEntry
from models.ledger.numbering import search_start, unlisted_events
from models.sessions import Event, Session
from models.sessions.submissions import Submission
from models.sessions.submissions.submission import WAITING
from models.tasks.runs import FAILED, TestRun
from models.webhooks import Webhook, WebhookDelivery

# Longer than the time from the first to the last attempt to send a message.
MAX_DELIVERY_TIME = timedelta(days=4)
# Messages and removals, webhook messages, unnumbered feed events, unlisted audit entries and candidate events,
# submitted git bundles to read, and test runs.
QUEUE_NAMES = ("delivery", "webhook", "feed", "audit", "events", "submission", "test_run")


class Count(NamedTuple):
    """Number of messages, submissions or test runs: `due`, `waiting` (claimed, or for a retry) or `failed`.

    Excludes messages that are scheduled for later.
    """

    kind: str
    state: str
    rows: int


def counts() -> list[Count]:
    """Count queued messages and test runs, those that failed within MAX_DELIVERY_TIME, and submissions to read."""
    messages = _counts(Delivery, Delivery.kind) + _counts(WebhookDelivery, peewee.Value("webhook"))
    unread = _group(_unread(), peewee.Value("submission"), _due_or_waiting(Submission.retry_at))
    return messages + unread + _counts(TestRun, peewee.Value("test_run"), TestRun.due_at.is_null(False))


def failed_test_runs(start: datetime) -> int:
    """Count the test runs that have failed since a time."""
    return TestRun.select().where(TestRun.state == FAILED, TestRun.finished_at >= start).count()


def lost_submissions() -> int:
    """Count lost submissions. Excludes deleted assessments."""
    query = Submission.select().join(Session).join(Assessment, on=Session.assessment)
    return query.where(Submission.is_lost(), Assessment.deleted_at.is_null()).count()


def _unread() -> Any:
    return Submission.select().where(Submission.state == WAITING, Submission.retry_at.is_null(False))


def _due_or_waiting(column: Any) -> Any:
    return peewee.Case(None, ((column <= clock.now(), "due"),), "waiting")


def _counts(table: Any, kind: Any, is_queued: Any = None) -> list[Count]:
    if is_queued is None:
        is_queued = (table.state == "queued") & ((table.attempts > 0) | (table.due_at <= clock.now()))
    queued = table.select().where(is_queued)
    # Ids increase with time, and they are indexed.
    first_id = uuid.UUID(int=int((clock.now() - MAX_DELIVERY_TIME).timestamp() * 1000) << 80)
    failed = table.select().where(table.state == "failed", table.id >= first_id)
    return _group(queued, kind, _due_or_waiting(table.due_at)) + _group(failed, kind, table.state)


def _group(query: Any, kind: Any, state: Any) -> list[Count]:
    query = query.select(kind.alias("kind"), state.alias("state"), peewee.fn.COUNT(query.model.id))
    return [Count(*row) for row in query.group_by(peewee.SQL("1"), peewee.SQL("2")).tuples()]


def failed_since(start: datetime) -> int:
    """Count the messages that have failed since a time."""
    # A claim sets due_at to the end of its lease; a failure does not change it.
    tables: tuple[Any, ...] = (Delivery, WebhookDelivery)
    failed = [table.select().where(table.state == "failed", table.due_at >= start) for table in tables]
    return sum(query.count() for query in failed)


def oldest_due() -> dict[str, datetime]:
    """Return when the oldest entry in each queue became due. Omits empty queues."""
    # Messages are not overdue while their receiver is paused.
    paused = WebhookDelivery.webhook.in_(Webhook.select(Webhook.id).where(Webhook.held_until > clock.now()))
    oldest = (
        _oldest(Delivery.select().where(_is_due(Delivery)), Delivery.due_at),
        _oldest(WebhookDelivery.select().where(_is_due(WebhookDelivery), ~paused), WebhookDelivery.due_at),
        _oldest(FeedEvent.unnumbered(), FeedEvent.created_at),
        _oldest(AuditEntry.unlisted(), AuditEntry.created_at),
        _oldest(unlisted_events(search_start()), Event.received_at),
        _oldest(_unread().where(Submission.retry_at <= clock.now()), Submission.retry_at),
        _oldest(TestRun.select().where(TestRun.due_at <= clock.now()), TestRun.due_at),
    )
    return {name: time for name, time in zip(QUEUE_NAMES, oldest, strict=True) if time}


def _is_due(table: Any) -> Any:
    return (table.state == "queued") & (table.due_at <= clock.now())


def _oldest(query: Any, column: Any) -> datetime | None:
    return query.select(peewee.fn.MIN(column)).scalar()
