"""Queue deliveries in the caller's transaction (outbox pattern)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import NotFailed, NotQueued
from models import sql
from models.base import clock
from models.deliveries.table import INVITATION, REMINDER, REMOVAL, Delivery
from models.leases import LEASE
from models.orgs import User

MAX_ROWS_PER_INSERT = 500
# An upload that starts before its URL expires can finish this much later.
MAX_UPLOAD_DURATION = timedelta(hours=1)


def enqueue_invitations(
    organization_id: Any, invitations: list[dict[str, Any]], data: dict[str, Any]
) -> None:
    """Queue invitations.

    invitations -- dicts of `id`, `subject_id` (the key's id) and the columns of models/deliveries/limit.py
    data -- see `generate_keys`
    """
    if invitations:
        sql.insert(Delivery, invitations, organization_id=organization_id, kind=INVITATION, data=data)


def enqueue_reminder(key: Any, columns: dict[str, Any], **data: Any) -> None:
    """Queue a reminder with the columns of models/deliveries/limit.py."""
    shared = {"organization": key.organization_id, "kind": REMINDER, "data": key.invitation_data | data}
    Delivery.create(**shared, subject_id=key.id, **columns)


def enqueue_to_user(user: User, kind: str, data: dict[str, Any], **columns: Any) -> None:
    """Queue an email to a user; `data` has the values that its sender in delivery/worker/emails.py needs."""
    columns |= {"kind": kind, "subject_id": user.id, "data": data, "address": user.address}
    Delivery.create(organization=user.organization_id, **columns)


def enqueue_removals(organization_id: Any, subject_id: Any, objects: Iterable[tuple[str, datetime]]) -> None:
    """Queue the removal of objects from the bundle store.

    An object is removed now, and again after the last upload could have finished.

    objects -- object keys with the expiry of their upload URLs
    """
    now = clock.now()
    shared = {"organization": organization_id, "kind": REMOVAL, "subject_id": subject_id}
    rows = [
        shared | {"data": {"objectKey": object_key}, "due_at": due_at}
        for object_key, expires_at in objects
        for due_at in {now, max(now, expires_at + MAX_UPLOAD_DURATION)}
    ]
    for batch in peewee.chunked(rows, MAX_ROWS_PER_INSERT):
        Delivery.insert_many(batch).execute()


def requeue_removals() -> int:
    """Requeue failed removals."""
    return _requeue_failed(Delivery.kind == REMOVAL)


def retry(delivery: Delivery, address: str | None) -> Delivery:
    """Queue a failed message again, with the same Message-ID and zero attempts. Raises NotFailed."""
    if not _requeue_failed(Delivery.id == delivery.id, address=address):
        raise NotFailed()
    return Delivery.get_by_id(delivery.id)


def retry_waiting() -> int:
    """Make failed attempts due again. Returns how many."""
    # A worker can be sending those that are due within the lease.
    is_waiting = (Delivery.state == "queued") & (Delivery.due_at > clock.now() + LEASE)
    return Delivery.update(due_at=clock.now()).where(is_waiting, Delivery.last_error.is_null(False)).execute()


def _requeue_failed(condition: peewee.Expression, **columns: Any) -> int:
    update = Delivery.update(state="queued", attempts=0, due_at=clock.now(), **columns)
    return update.where(condition, Delivery.state == "failed").execute()


def cancel(delivery: Delivery) -> None:
    """Cancel a queued message. Raises NotQueued if it was sent, or a worker may be sending it."""
    is_waiting = (Delivery.attempts == 0) | (Delivery.due_at > clock.now() + LEASE)
    update = Delivery.update(state="canceled", last_error="A reviewer canceled the message.")
    if not update.where(Delivery.id == delivery.id, Delivery.state == "queued", is_waiting).execute():
        raise NotQueued()


def cancel_queued(key: Any, kind: str, reason: str) -> None:
    """Cancel a candidate's queued invitations or reminders."""
    is_queued = (Delivery.subject_id == key.id) & (Delivery.kind == kind) & (Delivery.state == "queued")
    Delivery.update(state="canceled", last_error=reason).where(is_queued).execute()
