"""Settle, seal, chain and publish new records; delete expired ones once a day."""

import logging
from datetime import timedelta

from models import (
    BundleUpload,
    DailyTask,
    Event,
    FeedEvent,
    IdempotentRequest,
    Organization,
    Seal,
    WebhookDelivery,
    audit,
    clock,
    db,
    privacy,
    sessions,
)
from models.deliveries.outbox import requeue_removals
from models.webhooks.outbox import publish_new
from storage import Storage

MAX_PARTIAL_UPLOAD_AGE = timedelta(hours=24)

log = logging.getLogger("proofstone.worker")


def process_new() -> None:
    """Settle due sessions, then seal, chain and publish what is new."""
    sessions.settle_all()
    Event.verify_waiting()
    Seal.seal_new()
    audit.chain_new()
    publish_new()


def run_daily_tasks(storage: Storage | None) -> None:
    """Run the tasks that no worker has run today."""
    if DailyTask.claim("retention"):
        requeue_removals()
        IdempotentRequest.delete_expired()
        for organization in Organization.select().where(Organization.retention_days.is_null(False)):
            _erase_overdue(organization)
    if DailyTask.claim("leftovers"):
        Seal.seal_skipped()
        BundleUpload.delete_unused()
        if storage is not None:
            storage.delete_partial_uploads(clock.now() - MAX_PARTIAL_UPLOAD_AGE)
    if DailyTask.claim("feed"):
        FeedEvent.delete_expired()
        WebhookDelivery.delete_expired()


def _erase_overdue(organization: Organization) -> None:
    for key in list(privacy.overdue(organization)):
        try:
            with db.atomic():
                privacy.erase(key)
                audit.record_erasure(key, audit.WORKER)
        except Exception:
            # Continue with the other candidates; this one is tried again tomorrow.
            log.exception("The data of candidate %s could not be erased.", key.id)
        else:
            log.info("The data of candidate %s was erased: its retention period is over.", key.id)
