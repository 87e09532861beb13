"""The outbox: queue a delivery in the transaction of the change that causes it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from errors import NotFailed
from models.base import clock, insert_rows
from models.deliveries.table import INVITATION, REMINDER, REMOVAL, Delivery
from models.orgs import Organization

MAX_ROWS_PER_INSERT = 500


def enqueue_invitations(
    organization: Organization, invitations: Iterable[tuple[Any, Any]], org_name: str
) -> None:
    """Queue one invitation for each (delivery id, key id)."""
    rows = [{"id": delivery_id, "subject_id": key_id} for delivery_id, key_id in invitations]
    data = {"orgName": org_name}
    insert_rows(Delivery, rows, kind=INVITATION, organization=organization.id, data=data)


def enqueue_reminder(organization: Organization, key_id: Any) -> None:
    data = {"orgName": organization.shown_name}
    insert_rows(Delivery, [{"subject_id": key_id}], kind=REMINDER, organization=organization.id, data=data)


def enqueue_removals(organization_id: Any, subject_id: Any, objects: Iterable[tuple[str, datetime]]) -> None:
    """Queue the removal of (object key, end of upload) from the bundle store.

    Each object is removed now, and again when its upload URL has expired, since it may be uploaded until then.
    """
    now = clock.now()
    rows = [
        {"data": {"objectKey": object_key}, "due_at": due_at}
        for object_key, upload_end in objects
        for due_at in {now, max(now, upload_end)}
    ]
    subject = {"kind": REMOVAL, "organization": organization_id, "subject_id": subject_id}
    for batch in peewee.chunked(rows, MAX_ROWS_PER_INSERT):
        insert_rows(Delivery, batch, **subject)


def requeue_removals() -> int:
    """Queue failed removals again: a removal is retried until it succeeds."""
    failed = (Delivery.kind == REMOVAL) & (Delivery.state == "failed")
    return Delivery.update(_fresh_attempts()).where(failed).execute()


def retry(delivery: Delivery) -> Delivery:
    """Queue a failed message again with all of its attempts. Raises NotFailed.

    It keeps its id, and thereby its Message-ID.
    """
    failed = (Delivery.id == delivery.id) & (Delivery.state == "failed")
    if not Delivery.update(_fresh_attempts()).where(failed).execute():
        raise NotFailed()
    return Delivery.get_by_id(delivery.id)


def cancel_queued_invitations(key: Any) -> None:
    """Cancel a candidate's queued invitations, in the transaction that queues a newer one."""
    is_queued = (Delivery.subject_id == key.id) & (Delivery.kind == INVITATION) & (Delivery.state == "queued")
    reason = "A newer invitation was sent."
    Delivery.update(state="canceled", last_error=reason).where(is_queued).execute()


def _fresh_attempts() -> dict[str, Any]:
    return {"state": "queued", "attempts": 0, "due_at": clock.now()}
