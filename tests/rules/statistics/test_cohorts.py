"""A cohort's averages and pass rate (R19, R21)."""

from fractions import Fraction

import pytest

from rules.metrics.derivation import Metrics
from rules.statistics.cohorts import METRICS, average, pass_rate
from rules.statistics.rounding import round_half_away

METRIC_BY_NAME = {metric.name: metric for metric in METRICS}
BILLION = 10**9


def test_ranked_metrics_are_in_the_order_of_the_specification():
    names = ["durationMs", "promptCount", "commandFailRate", "verifyIntensity", "manualEditRatio"]
    assert list(METRIC_BY_NAME) == [*names, "firstChangeLatencyMs"]
    assert [metric.name for metric in METRICS if metric.lower_is_better] == ["commandFailRate"]
    assert {metric.field for metric in METRICS} <= set(Metrics.__dataclass_fields__)


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [
        ("1/2", 0, "1"), ("-1/2", 0, "-1"), ("3/2", 0, "2"), ("5/2", 0, "3"), ("-5/2", 0, "-3"), ("49/100", 0, "0"),
        ("1/3", 3, "333/1000"), ("2/3", 3, "667/1000"), ("5/10000", 3, "1/1000"), ("-5/10000", 3, "-1/1000"),
        ("49999/100000000", 3, "0"), ("0", 3, "0"),
    ],
)  # fmt: skip
def test_ties_are_rounded_away_from_zero(value, digits, rounded):
    assert round_half_away(Fraction(value), digits) == Fraction(rounded)


@pytest.mark.parametrize(
    ("name", "total", "count", "expected"),
    [
        ("durationMs", 7, 2, 4), ("durationMs", 10, 3, 3), ("firstChangeLatencyMs", 1, 2, 1),
        ("durationMs", 9_007_199_254_740_993, 1, 9_007_199_254_740_993),  # not a float
        ("promptCount", 77, 2, 38.5), ("promptCount", 1, 20, 0.1), ("promptCount", 1, 21, 0.0),
        ("promptCount", 5, 5, 1.0), ("commandFailRate", 142 * BILLION // 1000, 1, 0.142),
        ("commandFailRate", BILLION // 2000, 1, 0.001), ("commandFailRate", BILLION // 2000 - 1, 1, 0.0),
        ("verifyIntensity", 4 * BILLION, 3, 1.333), ("manualEditRatio", 2 * BILLION, 3, 0.667),
    ],
)  # fmt: skip
def test_an_average_is_exact_and_rounded_once(name, total, count, expected):
    result = average(total, count, METRIC_BY_NAME[name])
    assert (result, type(result)) == (expected, type(expected))
    assert average(0, 0, METRIC_BY_NAME[name]) is None


@pytest.mark.parametrize(
    ("passed", "sessions", "rate"), [(9, 12, 75), (0, 3, 0), (3, 3, 100), (2, 3, 67), (1, 8, 13), (1, 201, 0)]
)
def test_the_pass_rate_is_a_rounded_percentage(passed, sessions, rate):
    assert (pass_rate(passed, sessions), type(pass_rate(passed, sessions))) == (rate, int)
