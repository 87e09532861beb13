"""Retention of candidate data, and anonymized metrics."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

MIN_DAYS, MAX_DAYS = 1, 3650


def retention_deadline(ended_at: datetime | None, days: int | None) -> datetime | None:
    """Return when the data is erased; None if the session has not ended or there is no retention period."""
    return None if ended_at is None or days is None else ended_at + timedelta(days=days)


def anonymize_metrics(further_metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Combine a session's tools and models into `other`.

    Their names come from the candidate's computer and can identify a person.
    """
    tools, models = further_metrics["tool_usage"], further_metrics["tokens"]
    tokens: Counter[str] = Counter()
    for counts in models.values():
        tokens.update(counts)
    return dict(further_metrics) | {
        "tool_usage": {"other": sum(tools.values())} if tools else {},
        "tokens": {"other": dict(tokens)} if models else {},
    }
