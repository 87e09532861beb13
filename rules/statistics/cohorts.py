"""Compute a cohort's averages and percentiles exactly, and round them once (R19 to R22)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from rules.plain_text import pluralize
from rules.statistics.rounding import BILLION, half_up, half_up_ratio, ratio

DIRECTIONS = ("higher_is_better", "lower_is_better", "neither")
SMALL_COHORT = 10  # sessions
SMALL_NOTE = (
    f"Fewer than {SMALL_COHORT} sessions: a single one can move every number. Read the sessions; do not compare them "
    "by these numbers alone."
)
QUARTERS = 4
QUARTILES = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")


class Metric(NamedTuple):
    """A ranked metric. Stored integers are `unit` times the value in responses."""

    name: str  # in responses
    field: str  # in rules.metrics.Metrics; also the session's column
    unit: int
    digits: int  # decimals of the average
    observed: str  # column with the number of observations (docs/metrics.md#observations)
    lower_is_better: bool = False  # for percentiles (R20)
    direction: str = "neither"  # for reviewers, one of DIRECTIONS (R44)
    comparison: str = "higher than"  # start of a rank such as "higher than 3 of 9"
    unknown: str | None = None  # why a session has no value, if its recording is the reason


# In the specification's order.
METRICS = (
    Metric("durationMs", "duration_ms", 1, 0, "event_count"),
    Metric("promptCount", "prompt_count", 1, 1, "prompt_count"),
    Metric(
        *("commandFailRate", "command_fail_rate", BILLION, 3, "known_exit_code_count"),
        lower_is_better=True,
        direction="lower_is_better",
        comparison="more failures than",
        unknown="fewer than half of the commands' exit codes are known",
    ),
    Metric(
        *("verifyIntensity", "verify_intensity", BILLION, 3, "file_change_count"),
        direction="higher_is_better",
    ),
    Metric("manualEditRatio", "manual_edit_ratio", BILLION, 3, "attributed_change_count"),
    Metric("firstChangeLatencyMs", "first_change_latency_ms", 1, 0, "file_change_count"),
)


def average(total: int, count: int, metric: Metric) -> int | float | None:
    """Return the mean of `count` stored values with the sum `total`; None without values."""
    if count == 0:
        return None
    scale = 10**metric.digits
    mean = half_up_ratio(abs(total), count * metric.unit, scale) * (1 if total >= 0 else -1)
    return mean / scale if metric.digits else mean


def quartiles(values: Sequence[int], metric: Metric) -> dict[str, int | float | None]:
    """Return the QUARTILES of sorted stored values, rounded like the average. All are None without values.

    Quartile i is at position (n - 1) * i / 4, with linear interpolation as in numpy.
    """
    if not values:
        return dict.fromkeys(QUARTILES)
    result = {}
    for quarter, name in enumerate(QUARTILES):
        position, part = divmod((len(values) - 1) * quarter, QUARTERS)
        below, above = values[position], values[position + (part > 0)]
        result[name] = average(below * QUARTERS + (above - below) * part, QUARTERS, metric)
    return result


def left_out_note(sessions: int, metric: Metric) -> str | None:
    """Explain why sessions have no value; None if there are none or the recording is not the reason."""
    if not sessions or metric.unknown is None:
        return None
    return f"{pluralize(sessions, 'session')} left out: {metric.unknown}."


def api_value(value: int | None, metric: Metric) -> int | float | None:
    """Convert a session's stored value for responses."""
    return value if value is None or metric.unit == 1 else average(value, 1, metric)


def beaten_and_equal(values: Sequence[int], value: int, metric: Metric) -> tuple[int, int]:
    """Count other values that are strictly worse (R20), and equal ones.

    values -- the cohort's sorted values, including `value`
    """
    below, up_to = bisect_left(values, value), bisect_right(values, value)
    beaten = len(values) - up_to if metric.lower_is_better else below
    return beaten, up_to - below - 1


def placement(
    beaten: int, equal: int, n: int, metric: Metric, has_value: bool
) -> dict[str, int | str | None]:
    """Return a session's rank among the other sessions. All fields are None without a value.

    beaten, equal -- number of other sessions with a strictly worse value, and with an equal value
    n -- number of sessions with a value, including this one
    """
    if not has_value:
        return dict.fromkeys(("below", "equal", "above", "rank"))
    others = n - 1
    better = others - beaten - equal
    below, above = (better, beaten) if metric.lower_is_better else (beaten, better)
    rank = f"{metric.comparison} {below} of {others}" if others else None
    return {"below": below, "equal": equal, "above": above, "rank": rank}


def percentile(beaten: int, n: int, has_value: bool) -> float | None:
    """Return the share of other sessions with a strictly worse value, rounded to 3 decimals (R20).

    n -- number of sessions with a value, including this one
    """
    return ratio(beaten, n - 1) if has_value and n >= 2 else None


def pass_rate(passed: int, sessions: int) -> int:
    """Return the percentage of sessions with passing tests."""
    return half_up(Fraction(100 * passed, sessions))
