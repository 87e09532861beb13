"""Until when what is known of a candidate is kept, and what of a session's numbers a person could be told from."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

DAYS_LEAST, DAYS_MOST = 1, 3650
OTHER = "other"


def kept_until(ended_at: datetime | None, days: int | None) -> datetime | None:
    """The moment at which the retention takes it away; None while there is no end, or without a retention."""
    return None if ended_at is None or days is None else ended_at + timedelta(days=days)


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def without_names(further_metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A session's further metrics without what the candidate's computer named: tools and models become one sum.

    An agent's tools can bear any name, a person's too.
    """
    tools = further_metrics["tool_usage"]
    models = further_metrics["tokens"].values()
    return dict(further_metrics) | {
        "tool_usage": {OTHER: sum(tools.values())} if tools else {},
        "tokens": {OTHER: _sums(models)} if models else {},
    }


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            sums[name] = sums.get(name, 0) + count
    return sums
