"""Retention of a candidate's data, and metrics without identifying names."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

MIN_DAYS, MAX_DAYS = 1, 3650


def retention_deadline(ended_at: datetime | None, days: int | None) -> datetime | None:
    """The time of erasure; None before the end, or without a retention period."""
    return None if ended_at is None or days is None else ended_at + timedelta(days=days)


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def anonymize_metrics(further_metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A session's further metrics with its tools and its models added up.

    Their names come from the candidate's computer and may identify a person.
    """
    tools, models = further_metrics["tool_usage"], further_metrics["tokens"]
    tokens: Counter[str] = Counter()
    for counts in models.values():
        tokens.update(counts)
    return dict(further_metrics) | {
        "tool_usage": {"other": sum(tools.values())} if tools else {},
        "tokens": {"other": dict(tokens)} if models else {},
    }
