"""Anchors: published heads of seals, which prove tampering when archived outside the database (R43).

An anchor is a feed event. The worker also writes it to the log when it numbers the event.
"""

import json
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import peewee

from models.base import clock, db
from models.feed import FeedEvent
from models.ledger.audit import AuditChain
from models.sessions import FinalSeal, Session, final_seals
from models.task_failures import run_each
from rules.integrity.anchors import AUDIT, SESSION, TYPES
from rules.timestamps import format_timestamp

AUDIT_INTERVAL = timedelta(hours=1)

log = logging.getLogger("proofstone.anchors")


def write_to_log(events: Iterable[FeedEvent]) -> None:
    """Write the signed anchors among these events to the log, one JSON line each."""
    for event in events:
        if event.type not in TYPES:
            continue
        if _is_signed(event):
            fields = {"id": str(event.id), "type": event.type}
            fields |= {"timestamp": format_timestamp(event.created_at), "data": event.data}
            log.info("%s", json.dumps(fields))
        else:
            log.warning("Feed event %s is not an anchor that the service signed.", event.id)


def _is_signed(event: FeedEvent) -> bool:
    """Return whether an anchor matches a signed seal. The event alone proves nothing."""
    try:
        return _has_seal(event.data) if event.type == SESSION else _has_mac(event.data)
    except (KeyError, TypeError, ValueError, AttributeError, peewee.DoesNotExist):
        return False


def _has_seal(data: dict[str, Any]) -> bool:
    session = Session.get_by_id(UUID(data["sessionId"]))
    # Compared here, because the database may reject the value.
    seals = [seal for seal in FinalSeal.of(session) if seal.number == data["number"]]
    return any(seal.is_intact is True and data == final_seals.payload(session, seal) for seal in seals)


def _has_mac(data: dict[str, Any]) -> bool:
    head, mac = (data[name] and bytes.fromhex(data[name]) for name in ("head", "mac"))
    columns = {"organization": UUID(data["organizationId"]), "count": data["count"], "head": head}
    columns |= {"sealed_events": data["sealedEvents"], "final_seals": data["finalSeals"]}
    columns |= {"key_id": data["keyId"], "mac": mac}
    return AuditChain(**columns).is_intact is True


def publish_audit_heads() -> int:
    """Publish changed heads and numbers of each organization, at most hourly; return how many."""
    has_entries = AuditChain.count != AuditChain.anchored_count
    has_events = AuditChain.sealed_events != AuditChain.anchored_events
    changed = AuditChain.select().where(has_entries | has_events).order_by(AuditChain.id)
    return run_each("audit_heads", changed, _publish_due)


def _publish_due(row: AuditChain) -> bool:
    # The absolute difference, because the clock may have been set back.
    if abs(clock.now() - (row.anchored_at or row.created_at)) < AUDIT_INTERVAL:
        return False
    with db.atomic():
        chain = row.lock()
        if chain.anchored_at != row.anchored_at:
            return False
        anchored = {"anchored_count": chain.count, "anchored_events": chain.sealed_events}
        chain.update_columns(**anchored, anchored_at=clock.now())
        head = chain.head.hex() if chain.head else None
        mac = chain.mac.hex() if chain.mac else None
        payload = {"organizationId": chain.organization_id, "count": chain.count, "head": head}
        payload |= {"sealedEvents": chain.sealed_events, "finalSeals": chain.final_seals}
        payload |= {"keyId": chain.key_id, "mac": mac}
        FeedEvent.publish(chain.organization_id, AUDIT, payload)
    return True
