"""Anchors: heads of seals, published so that copies outside the database can prove a manipulation (R43).

An anchor is a feed event. The worker also writes it to the log when it numbers the event, after the seal is committed.
"""

import json
import logging
from collections.abc import Iterable
from datetime import timedelta

from models.audit import AuditChain
from models.base import clock, db
from models.feed import FeedEvent
from models.task_failures import run_each
from rules.anchors import AUDIT, TYPES
from rules.timestamps import format_timestamp

AUDIT_INTERVAL = timedelta(hours=1)

log = logging.getLogger("proofstone.anchors")


def write_to_log(events: Iterable[FeedEvent]) -> None:
    """Write the anchors among these events to the log, one line of JSON each."""
    for event in events:
        if event.type in TYPES:
            members = {
                "id": str(event.id),
                "type": event.type,
                "timestamp": format_timestamp(event.created_at),
            }
            log.info("%s", json.dumps(members | {"data": event.data}))


def publish_audit_heads() -> int:
    """Publish the head and numbers of each organization whose record has changed, at most hourly; returns how many."""
    has_changed = (AuditChain.count != AuditChain.anchored_count) | (
        AuditChain.sealed_events != AuditChain.anchored_events
    )
    return run_each(
        "audit_heads", AuditChain.select().where(has_changed).order_by(AuditChain.id), _publish_due
    )


def _publish_due(row: AuditChain) -> bool:
    # The absolute difference, because the clock may have been set back.
    if abs(clock.now() - (row.anchored_at or row.created_at)) < AUDIT_INTERVAL:
        return False
    with db.atomic():
        chain = row.lock()
        if chain.anchored_at != row.anchored_at:
            return False
        _publish(chain)
    return True


def _publish(chain: AuditChain) -> None:
    anchored = {"anchored_count": chain.count, "anchored_events": chain.sealed_events}
    chain.update_columns(**anchored, anchored_at=clock.now())
    head = chain.head.hex() if chain.head else None
    mac = chain.mac.hex() if chain.mac else None
    payload = {"organizationId": chain.organization_id, "count": chain.count, "head": head}
    payload |= {"sealedEvents": chain.sealed_events, "finalSeals": chain.final_seals}
    payload |= {"keyId": chain.key_id, "mac": mac}
    FeedEvent.publish(chain.organization_id, AUDIT, payload)
