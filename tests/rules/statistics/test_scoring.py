"""Reviewers' means and total scores."""

import pytest

from rules.statistics.scoring import summarize, total_score, total_score_range, value_range


def criterion(key, weight=1, values=(1, 2, 5)):
    levels = [{"value": value, "label": str(value)} for value in values]
    return {"key": key, "weight": weight, "levels": levels}


def test_ranges_do_not_depend_on_level_order():
    assert value_range(criterion("quality", values=(3, 0, 7))) == (0, 7)
    assert total_score_range([criterion("a", 2, (0, 3)), criterion("b", 1, (1, 5))]) == (1, 11)


@pytest.mark.parametrize(
    ("values", "total"),
    [({"a": 5, "b": 3}, 11.5), ({"a": 5, "b": 3, "old": 1000}, 11.5), ({"a": 5}, None), ({}, None)],
)
def test_a_total_requires_every_current_criterion(values, total):
    assert total_score([criterion("a", 2), criterion("b", 0.5)], values) == total


@pytest.mark.parametrize(
    ("weights", "value", "total"),
    [
        ([0.1, 0.2], 1, 0.3),  # 0.30000000000000004 in floats
        ([0.0005], 1, 0.001),  # half away from zero
        ([0.0004], 1, 0.0),
        ([1.0005], 1, 1.001),  # the float is below its decimal form
        ([1_000_000] * 50, 1000, 50_000_000_000.0),
    ],
)
def test_totals_are_exact_and_rounded_once(weights, value, total):
    criteria = [criterion(f"c{number}", weight) for number, weight in enumerate(weights)]
    assert total_score(criteria, {criterion["key"]: value for criterion in criteria}) == total


@pytest.mark.parametrize(
    ("levels", "values", "mean", "spread", "disagreement"),
    [
        ((1, 2, 3), [], None, None, False),
        ((1, 2, 3), [3], 3, 0, False),
        ((1, 2, 3), [1, 2, 2], 1.667, 1, False),
        ((3, 1, 2), [1, 3], 2, 2, True),
        ((0, 1000), [0, 1000], 500, 1000, False),  # one level apart
        ((0, 10, 20), [0, 20], 10, 20, True),
        ((0, 10, 20), [1, 20], 10.5, 19, False),  # 1.9 levels
        ((0, 10, 11, 20), [5, 15, 11], 10.333, 10, False),  # half, one, and less than half a level
        ((0, 10, 11, 20), [5, 16], 10.5, 11, True),
        ((1, 2, 3, 4), [2, 3, 4, 2], 2.75, 2, True),
    ],
)
def test_reviewers_disagree_two_levels_apart(levels, values, mean, spread, disagreement):
    expected = {"mean": mean, "spread": spread, "disagreement": disagreement}
    assert summarize(criterion("quality", values=levels), values) == expected
