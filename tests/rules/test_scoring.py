"""What scores come to: exact sums, one rounding, and no total before every criterion has a score."""

import pytest

from rules import scoring


def criterion(key, weight=1, values=(1, 2, 5)):
    return {
        "key": key,
        "weight": weight,
        "levels": [{"value": value, "label": str(value)} for value in values],
    }


def test_a_scale_goes_from_the_lowest_to_the_highest_level_whatever_their_order():
    assert scoring.scale(criterion("quality", values=(3, 0, 7))) == (0, 7)


def test_a_total_is_the_sum_of_weight_times_value():
    assert scoring.total([criterion("a", 2), criterion("b", 0.5)], {"a": 5, "b": 3}) == 11.5


def test_there_is_no_total_until_every_criterion_has_a_score():
    criteria = [criterion("a"), criterion("b")]
    assert scoring.total(criteria, {"a": 5}) is None
    assert scoring.total(criteria, {}) is None


def test_scores_of_criteria_that_are_gone_count_in_nothing():
    assert scoring.total([criterion("a")], {"a": 2, "gone": 1000}) == 2


@pytest.mark.parametrize(
    ("weights", "value", "expected"),
    [
        ([0.1, 0.2], 1, 0.3),  # in floats 0.30000000000000004
        ([0.0005], 1, 0.001),  # half away from zero
        ([0.0004], 1, 0.0),
        ([1.0005], 1, 1.001),  # as a float 1.0005 lies below its decimal form
        ([1e-05], 100, 0.001),
        ([1_000_000] * 50, 1000, 50_000_000_000.0),
    ],
)
def test_the_sum_is_exact_and_rounded_once(weights, value, expected):
    criteria = [criterion(f"c{number}", weight) for number, weight in enumerate(weights)]
    assert scoring.total(criteria, {one["key"]: value for one in criteria}) == expected


def test_the_range_of_totals_is_that_of_the_lowest_and_the_highest_values():
    assert scoring.total_range([criterion("a", 2, (0, 3)), criterion("b", 1, (1, 5))]) == (1, 11)
