"""At most MAX_MESSAGES in PERIOD to one address about one assessment, from all keys and processes together.

Counted are messages that are queued, and those that a worker has tried to send. The lock orders transactions that count
and queue; a transaction takes it before it locks a key.
"""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from errors import MailLimit
from models import sql
from models.base import clock
from models.database import lock_by_name
from models.deliveries.table import Delivery
from rules.rows import row_id

MAX_MESSAGES = 5
PERIOD = timedelta(days=1)
SUPPRESSED = "Not sent: the address had 5 messages about this assessment in 24 hours."


def lock(assessment_id: Any) -> None:
    """Wait for other transactions that queue messages about the assessment."""
    lock_by_name(f"messages {assessment_id}")


def require_allowed(assessment_id: Any, address: str, besides: Any = None) -> None:
    """Raise MailLimit if the address may get no further message now, not counting the message `besides`."""
    newest_first = _recent(assessment_id, [address], besides)[address]
    if len(newest_first) >= MAX_MESSAGES:
        wait = newest_first[MAX_MESSAGES - 1] + PERIOD - clock.now()
        raise MailLimit(retry_after=math.ceil(wait.total_seconds()))


def columns(assessment_id: Any, addresses: list[str]) -> list[dict[str, Any]]:
    """The columns of one further message to each address: it is queued, or suppressed by the limit."""
    counts = Counter({address: len(times) for address, times in _recent(assessment_id, addresses).items()})
    rows: list[dict[str, Any]] = []
    for address in addresses:
        counts[address] += 1
        is_allowed = counts[address] <= MAX_MESSAGES
        state, reason = ("queued", None) if is_allowed else ("suppressed", SUPPRESSED)
        rows.append({"address": address, "state": state, "last_error": reason})
    return rows


def _recent(assessment_id: Any, addresses: list[str], besides: Any = None) -> dict[str, list[datetime]]:
    """When the messages of the last day to each address were last due, newest first."""
    names, values = sql.in_list("address", sorted(set(addresses)))
    text = sql.RECENT_MESSAGES.format(addresses=names)
    times = defaultdict[str, list[Any]](list)
    for message_id, address, due_at in sql.rows(
        text, assessment_id=assessment_id, since=clock.now() - PERIOD, **values
    ):
        if row_id(message_id) != besides:
            times[address].append(Delivery.due_at.python_value(due_at))
    return times
