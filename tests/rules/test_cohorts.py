"""What an average and a percentile of a cohort mean (R19 to R22)."""

from fractions import Fraction

import pytest

from rules.cohorts import METRICS, average, pass_rate, percentile, round_half_away
from rules.metrics import Metrics

BY_NAME = {metric.name: metric for metric in METRICS}
BILLION = 10**9


def test_the_ranked_metrics_stand_in_the_specifications_order():
    assert [metric.name for metric in METRICS] == [
        "durationMs",
        "promptCount",
        "commandFailRate",
        "verifyIntensity",
        "manualEditRatio",
        "firstChangeLatencyMs",
    ]
    assert [metric.average_name for metric in METRICS] == [
        "avgDurationMs",
        "avgPromptCount",
        "avgCommandFailRate",
        "avgVerifyIntensity",
        "avgManualEditRatio",
        "avgFirstChangeLatencyMs",
    ]


def test_only_a_fail_rate_is_better_when_it_is_lower():
    assert [metric.name for metric in METRICS if metric.lower_is_better] == ["commandFailRate"]


def test_every_ranked_metric_is_one_that_is_derived():
    assert {metric.field for metric in METRICS} <= set(Metrics.__dataclass_fields__)


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [
        (Fraction(1, 2), 0, 1),
        (Fraction(-1, 2), 0, -1),
        (Fraction(3, 2), 0, 2),
        (Fraction(5, 2), 0, 3),
        (Fraction(-5, 2), 0, -3),
        (Fraction(49, 100), 0, 0),
        (Fraction(1, 3), 3, Fraction(333, 1000)),
        (Fraction(2, 3), 3, Fraction(667, 1000)),
        (Fraction(5, 10_000), 3, Fraction(1, 1000)),
        (Fraction(-5, 10_000), 3, Fraction(-1, 1000)),
        (Fraction(49_999, 100_000_000), 3, 0),
        (Fraction(0), 3, 0),
    ],
)
def test_the_middle_is_rounded_away_from_zero(value, digits, rounded):
    assert round_half_away(value, digits) == rounded


@pytest.mark.parametrize(
    ("name", "total", "count", "shown"),
    [
        ("durationMs", 7, 2, 4),
        ("durationMs", 10, 3, 3),
        ("durationMs", 12 * 4_320_000, 12, 4_320_000),
        ("firstChangeLatencyMs", 1, 2, 1),
        ("promptCount", 77, 2, 38.5),
        ("promptCount", 1, 20, 0.1),
        ("promptCount", 1, 21, 0.0),
        ("promptCount", 5, 5, 1.0),
        ("commandFailRate", 142 * BILLION // 1000, 1, 0.142),
        ("commandFailRate", BILLION // 2000, 1, 0.001),
        ("commandFailRate", BILLION // 2000 - 1, 1, 0.0),
        ("verifyIntensity", 4 * BILLION, 3, 1.333),
        ("manualEditRatio", 2 * BILLION, 3, 0.667),
    ],
)
def test_an_average_is_rounded_once_as_its_metric_is_shown(name, total, count, shown):
    result = average(total, count, BY_NAME[name])
    assert result == shown
    assert type(result) is type(shown)


def test_an_average_without_a_value_is_null():
    assert [average(0, 0, metric) for metric in METRICS] == [None] * 6


def test_an_average_is_exact_where_floats_are_not():
    assert average(9_007_199_254_740_993, 1, BY_NAME["durationMs"]) == 9_007_199_254_740_993


@pytest.mark.parametrize(
    ("worse", "n", "share"),
    # The specification's example: every one of its percentiles is k/11, for a cohort of 12.
    [
        *((8, 12, 0.727), (5, 12, 0.455), (9, 12, 0.818), (7, 12, 0.636), (4, 12, 0.364)),
        *((0, 2, 0.0), (1, 2, 1.0), (1, 3, 0.5), (1, 17, 0.063), (11, 12, 1.0), (0, 12, 0.0)),
    ],
)
def test_a_percentile_is_the_share_of_the_others_that_are_beaten(worse, n, share):
    assert percentile(worse, n, has_value=True) == share


def test_there_is_no_percentile_without_a_value_or_without_others():
    assert percentile(3, 5, has_value=False) is None
    assert percentile(0, 1, has_value=True) is None
    assert percentile(0, 0, has_value=False) is None


@pytest.mark.parametrize(
    ("passed", "sessions", "rate"),
    [(9, 12, 75), (0, 3, 0), (3, 3, 100), (1, 3, 33), (2, 3, 67), (1, 8, 13), (1, 200, 1), (1, 201, 0)],
)
def test_the_pass_rate_is_a_whole_percentage_of_all_sessions(passed, sessions, rate):
    assert pass_rate(passed, sessions) == rate
    assert type(pass_rate(passed, sessions)) is int
