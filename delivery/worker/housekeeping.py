"""Settle, seal, chain and publish new records; delete expired ones once a day."""

import logging
from datetime import timedelta

import models
from models import anchors, audit, clock, db, privacy, sessions
from models.deliveries.outbox import requeue_removals
from models.webhooks.outbox import publish_new
from storage import Storage

MAX_PARTIAL_UPLOAD_AGE = timedelta(hours=24)

log = logging.getLogger("proofstone.worker")


def process_new() -> None:
    """Settle due sessions, then seal, chain and publish what is new."""
    sessions.settle_all()
    models.Event.verify_waiting()
    models.Seal.seal_new()
    audit.chain_new()
    seal_closed()
    publish_new()


def seal_closed() -> None:
    """Append final seals, and publish heads of audit logs (R43)."""
    sessions.seal_due()
    anchors.publish_audit_heads()


def run_daily_tasks(storage: Storage | None) -> None:
    """Run the tasks that no worker has run today."""
    if models.DailyTask.claim("retention"):
        requeue_removals()
        models.IdempotentRequest.delete_expired()
        organizations = models.Organization.select()
        for organization in organizations.where(models.Organization.retention_days.is_null(False)):
            for key in list(privacy.overdue(organization)):
                _erase(key)
    if models.DailyTask.claim("leftovers"):
        models.Seal.seal_skipped()
        models.BundleUpload.delete_unused()
        if storage is not None:
            storage.delete_partial_uploads(clock.now() - MAX_PARTIAL_UPLOAD_AGE)
    if models.DailyTask.claim("feed"):
        models.FeedEvent.delete_expired()
        models.WebhookDelivery.delete_expired()


def _erase(key: models.CandidateKey) -> None:
    try:
        with db.atomic():
            privacy.erase(key)
            audit.record_erasure(key, audit.WORKER)
    except Exception:
        # Continue with the other candidates; this one is retried tomorrow.
        log.exception("Could not erase the data of candidate %s. Retrying tomorrow.", key.id)
    else:
        log.info("Erased the data of candidate %s: its retention period has ended.", key.id)
