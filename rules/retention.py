"""Retention of candidate data, and anonymized metrics."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

MIN_DAYS, MAX_DAYS = 1, 3650
_DAYS_BY_UNIT = {"day": 1, "week": 7, "month": 30, "year": 365}
_STORAGE = re.compile(r"\b(?:delet|eras|remov|kept|keep|stor|retain)", re.IGNORECASE)
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_PERIOD = re.compile(rf"\b([0-9]{{1,4}}|{'|'.join(_NUMBERS)})[ -](day|week|month|year)s?\b", re.IGNORECASE)
_OTHER_START = re.compile(
    r"\b(?:after|(?:day|week|month|year)s? (?:from|following)) (?!(?:the end of )?(?:the|your) session\b)",
    re.IGNORECASE,
)


def retention_deadline(ended_at: datetime | None, days: int | None) -> datetime | None:
    """Return when the data is erased; None if the session has not ended or there is no retention period."""
    return None if ended_at is None or days is None else ended_at + timedelta(days=days)


def conflicting_lines(lines: Iterable[str], days: int | None) -> list[str]:
    """Return the lines of a disclosure that seem to state another retention period, or another start of it."""
    conflicts = []
    for line in lines:
        period = _PERIOD.search(line) if _STORAGE.search(line) else None
        if period and (_days(*period.groups()) != days or _OTHER_START.search(line)):
            conflicts.append(line)
    return conflicts


def _days(number: str, unit: str) -> int:
    count = int(number) if number.isdecimal() else _NUMBERS.index(number.lower()) + 1
    return count * _DAYS_BY_UNIT[unit.lower()]


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
