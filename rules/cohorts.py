"""Averages and percentiles of a cohort, exact and rounded once (R19 to R22)."""

from fractions import Fraction
from typing import NamedTuple

from rules.rounding import BILLION, half_up, ratio, round_half_away


class Metric(NamedTuple):
    """A ranked metric; stored integers are `unit` times the value in responses."""

    name: str  # in responses
    field: str  # of rules.metrics.Metrics
    unit: int
    digits: int  # decimals of its average
    lower_is_better: bool = False


# In the specification's order.
METRICS = (
    Metric("durationMs", "duration_ms", 1, 0),
    Metric("promptCount", "prompt_count", 1, 1),
    Metric("commandFailRate", "command_fail_rate", BILLION, 3, lower_is_better=True),
    Metric("verifyIntensity", "verify_intensity", BILLION, 3),
    Metric("manualEditRatio", "manual_edit_ratio", BILLION, 3),
    Metric("firstChangeLatencyMs", "first_change_latency_ms", 1, 0),
)


def average(total: int, count: int, metric: Metric) -> int | float | None:
    """The mean of `count` stored values with the sum `total`; None without values."""
    if count == 0:
        return None
    mean = round_half_away(Fraction(total, count * metric.unit), metric.digits)
    return float(mean) if metric.digits else int(mean)


def median(values: list[int], metric: Metric) -> int | float | None:
    """The median of stored values; None without values."""
    in_order = sorted(values)
    middle = in_order[(len(values) - 1) // 2 : len(values) // 2 + 1]
    return average(sum(middle), len(middle), metric)


def percentile(worse: int, n: int, has_value: bool) -> float | None:
    """The share of the other sessions that a session beats, with 3 decimals (R20).

    worse -- sessions with a strictly worse value: lower, or higher where lower is better
    n -- sessions with a value, including the session itself
    """
    return ratio(worse, n - 1) if has_value and n >= 2 else None


def pass_rate(passed: int, sessions: int) -> int:
    """The percentage of a cohort's sessions, at least one, with passing tests."""
    return half_up(Fraction(100 * passed, sessions))
