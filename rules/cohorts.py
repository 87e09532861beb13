"""What an average and a percentile of a cohort mean (R19 to R22): exact, rounded once, at the end (R21)."""

from fractions import Fraction
from typing import NamedTuple

from rules.rounding import half_up, round_half_away


class Metric(NamedTuple):
    """A metric that sessions are ranked by; its stored integers are `unit` times what is shown."""

    name: str  # in `percentiles`
    average_name: str
    field: str  # of rules.metrics.Metrics
    unit: int
    digits: int  # decimals of its average
    lower_is_better: bool = False


_BILLION = 10**9  # ratios are stored as billionths

# In the specification's order.
METRICS = (
    Metric("durationMs", "avgDurationMs", "duration_ms", 1, 0),
    Metric("promptCount", "avgPromptCount", "prompt_count", 1, 1),
    Metric("commandFailRate", "avgCommandFailRate", "command_fail_rate", _BILLION, 3, lower_is_better=True),
    Metric("verifyIntensity", "avgVerifyIntensity", "verify_intensity", _BILLION, 3),
    Metric("manualEditRatio", "avgManualEditRatio", "manual_edit_ratio", _BILLION, 3),
    Metric("firstChangeLatencyMs", "avgFirstChangeLatencyMs", "first_change_latency_ms", 1, 0),
)


def average(total: int, count: int, metric: Metric) -> int | float | None:
    """The mean of `count` stored values that add up to `total`; None where no session has a value."""
    if count == 0:
        return None
    mean = round_half_away(Fraction(total, count * metric.unit), metric.digits)
    return float(mean) if metric.digits else int(mean)


def median(values: list[int], metric: Metric) -> int | float | None:
    """The middle of stored values, or the mean of the two in the middle; None where no session has a value."""
    in_order = sorted(values)
    middle = in_order[(len(values) - 1) // 2 : len(values) // 2 + 1]
    return average(sum(middle), len(middle), metric)


def percentile(worse: int, n: int, has_value: bool) -> float | None:
    """The share of the other sessions that a session beats, 0.0 to 1.0 with 3 decimals (R20).

    worse -- sessions with a strictly worse value: lower, or higher where lower is better
    n -- sessions with a value, the session itself among them
    """
    if not has_value or n < 2:
        return None
    return float(round_half_away(Fraction(worse, n - 1), 3))


def pass_rate(passed: int, sessions: int) -> int:
    """The whole percentage of a cohort's sessions, at least one, whose tests were seen to pass."""
    return half_up(Fraction(100 * passed, sessions))
