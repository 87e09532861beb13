"""Limit messages to MAX_MESSAGES per mailbox, assessment and PERIOD.

Counts queued messages, and messages that a worker has tried to send. The lock serializes transactions that count and
queue messages or check a candidate's `externalId` (models/external_ids.py). Acquire it before locking the assessment or
a key.
"""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from errors import EmailLimit
from models import sql
from models.base import clock
from models.database import lock_by_name
from models.deliveries.table import Delivery
from rules.delivery.email_addresses import mailbox
from rules.rows import row_id

MAX_MESSAGES = 5
PERIOD = timedelta(days=1)
SUPPRESSED = "Not sent: the address has reached the limit of 5 messages about this assessment in 24 hours."


def lock(assessment_id: Any) -> None:
    """Lock the assessment's messages and external ids until the transaction ends."""
    lock_by_name(f"messages {assessment_id}")


def require_allowed(assessment_id: Any, address: str, excluding: Any = None) -> str:
    """Return the address's mailbox if the limit allows a message to it. Raises EmailLimit.

    excluding -- the id of a message not to count
    """
    address = mailbox(address)
    newest_first = _recent(assessment_id, [address], excluding)[address]
    if len(newest_first) >= MAX_MESSAGES:
        wait = newest_first[MAX_MESSAGES - 1] + PERIOD - clock.now()
        raise EmailLimit(retry_after=math.ceil(wait.total_seconds()))
    return address


def columns(assessment_id: Any, addresses: list[str]) -> list[dict[str, Any]]:
    """Build the columns of a new message to each address: queued, or suppressed by the limit."""
    addresses = [mailbox(address) for address in addresses]
    counts = Counter({address: len(times) for address, times in _recent(assessment_id, addresses).items()})
    rows: list[dict[str, Any]] = []
    for address in addresses:
        counts[address] += 1
        is_allowed = counts[address] <= MAX_MESSAGES
        state, reason = ("queued", None) if is_allowed else ("suppressed", SUPPRESSED)
        rows.append({"address": address, "state": state, "last_error": reason})
    return rows


def _recent(assessment_id: Any, addresses: list[str], excluding: Any = None) -> dict[str, list[datetime]]:
    """Return the due times of each address's messages in PERIOD, newest first."""
    text = sql.prepare(sql.RECENT_MESSAGES.format(addresses=sql.any_of("addresses")))
    values = {"assessment_id": assessment_id, "since": clock.now() - PERIOD}
    times = defaultdict[str, list[Any]](list)
    rows = sql.rows(text, addresses=tuple(set(addresses)), **values)
    for message_id, address, due_at in rows:
        if row_id(message_id) != excluding:
            times[address].append(Delivery.due_at.python_value(due_at))
    return times
