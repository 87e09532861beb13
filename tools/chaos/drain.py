"""Wait until nothing is left to do: every message out, every event numbered and sealed, the audit log chained."""

import time

from tools.chaos.calls import Breach
from tools.chaos.world import World

SETTLE_SECONDS = 60  # without progress
GLANCE_SECONDS = 0.2
LEFT = {
    "mails that wait": "SELECT count(*) FROM deliveries WHERE state = 'queued' AND kind <> 'removal'",
    "webhooks that wait": "SELECT count(*) FROM webhook_deliveries WHERE state = 'queued'",
    "events without a number": "SELECT count(*) FROM occurrences WHERE position IS NULL",
    "audit entries without a place": "SELECT count(*) FROM audit_entries WHERE position IS NULL",
    "events without a seal": (
        "SELECT count(*) FROM events e LEFT JOIN seals s ON s.event_seq = e.seq WHERE s.id IS NULL"
    ),
}
# What is in a worker's hands is out within a moment; what was in those of one that was killed is not, and is due
# again after five minutes.
IN_HAND_SECONDS = 3
LEASED = (
    "UPDATE deliveries SET due_at = created_at WHERE state = 'queued' AND kind <> 'removal'",
    "UPDATE webhook_deliveries SET due_at = created_at WHERE state = 'queued'",
)


def settle(world: World, seconds: float = SETTLE_SECONDS, wait_for_leases: bool = False) -> None:
    """Return when nothing is left; Breach where it does not get less for that time.

    wait_for_leases -- let them run out by themselves, instead of setting the time of the next try
    """
    now = time.monotonic()
    least, deadline, next_release = float("inf"), now + seconds, now + IN_HAND_SECONDS
    while remaining := left(world):
        now, total = time.monotonic(), sum(remaining.values())
        if total < least:
            least, deadline = total, now + seconds
        if now > deadline:
            raise Breach(f"For {seconds:g} seconds there are still {remaining}.")
        if now > next_release and not wait_for_leases:
            next_release = now + IN_HAND_SECONDS
            for statement in LEASED:
                world.ask_database(statement)
        time.sleep(GLANCE_SECONDS)


def left(world: World) -> dict[str, int]:
    """How much of what is still to do; empty when nothing is."""
    found = {name: world.ask_database(query)[0][0] for name, query in LEFT.items()}
    return {name: count for name, count in found.items() if count}
