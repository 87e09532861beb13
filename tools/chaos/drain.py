"""Wait until all queues are empty: messages, feed positions, seals, the chain of the audit log."""

import time

from tests.live.service import Service
from tools.chaos.client import Violation

DRAIN_SECONDS = 60  # without progress
POLL_SECONDS = 0.2
QUEUES = {
    "mails to send": "SELECT count(*) FROM deliveries WHERE state = 'queued' AND kind <> 'removal'",
    "webhooks to send": "SELECT count(*) FROM webhook_deliveries WHERE state = 'queued'",
    "feed events to number": "SELECT count(*) FROM occurrences WHERE position IS NULL",
    "audit entries to chain": "SELECT count(*) FROM audit_entries WHERE position IS NULL",
    "events to seal": (
        "SELECT count(*) FROM events e LEFT JOIN seals s ON s.event_seq = e.seq WHERE s.id IS NULL"
    ),
}
# Deliveries of a killed worker are due again when their lease ends after five minutes. Expiring all leases every few
# seconds saves the wait; deliveries of running workers are done by then.
LEASE_SECONDS = 3
EXPIRE_LEASES = (
    "UPDATE deliveries SET due_at = created_at WHERE state = 'queued' AND kind <> 'removal'",
    "UPDATE webhook_deliveries SET due_at = created_at WHERE state = 'queued'",
)


def drain(service: Service, seconds: float = DRAIN_SECONDS, wait_for_leases: bool = False) -> None:
    """Return when nothing is queued; raises Violation if there is no progress for that time.

    wait_for_leases -- let leases end normally
    """
    now = time.monotonic()
    fewest, deadline, next_expiry = float("inf"), now + seconds, now + LEASE_SECONDS
    while remaining := queued(service):
        now, total = time.monotonic(), sum(remaining.values())
        if total < fewest:
            fewest, deadline = total, now + seconds
        if now > deadline:
            raise Violation(f"No progress for {seconds:g} seconds with {remaining}.")
        if now > next_expiry and not wait_for_leases:
            next_expiry = now + LEASE_SECONDS
            for statement in EXPIRE_LEASES:
                service.execute(statement)
        time.sleep(POLL_SECONDS)


def queued(service: Service) -> dict[str, int]:
    """Lengths of the queues that are not empty."""
    lengths = {name: service.execute(query)[0][0] for name, query in QUEUES.items()}
    return {name: length for name, length in lengths.items() if length}
