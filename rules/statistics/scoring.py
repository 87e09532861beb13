"""Combine reviewers' scores of a rubric's criteria into means and totals, exact and rounded once."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from rules.statistics.rounding import round_half_away

# Reviewers disagree if their scores are at least this many levels apart.
DISAGREEMENT_LEVELS = 2

# A reviewer's overall recommendation is scored like a criterion, with any rubric, but is not part of the total.
RECOMMENDATION: dict[str, Any] = {
    "key": "recommendation",
    "title": "Recommendation",
    "levels": [
        {"value": value, "label": label}
        for value, label in enumerate(("Strong no", "No", "Yes", "Strong yes"), 1)
    ],
}


def value_range(criterion: Mapping[str, Any]) -> tuple[int, int]:
    """Return the lowest and highest value of a criterion's levels."""
    values = [level["value"] for level in criterion["levels"]]
    return min(values), max(values)


def mean(values: Sequence[int]) -> Fraction | None:
    return Fraction(sum(values), len(values)) if values else None


def summarize(criterion: Mapping[str, Any], values: Sequence[int]) -> dict[str, Any]:
    """Return the mean (rounded to 3 decimals), spread and disagreement of the reviewers' scores."""
    exact = mean(values)
    if exact is None:
        return {"mean": None, "spread": None, "disagreement": False}
    lowest, highest = min(values), max(values)
    levels_apart = _position(criterion, highest) - _position(criterion, lowest)
    return {
        "mean": float(round_half_away(exact, 3)),
        "spread": highest - lowest,
        "disagreement": levels_apart >= DISAGREEMENT_LEVELS,
    }


def _position(criterion: Mapping[str, Any], value: int) -> Fraction:
    """Return the value's position among the levels, with linear interpolation between two levels."""
    levels = sorted(level["value"] for level in criterion["levels"])
    below = min(bisect_right(levels, value), len(levels) - 1) - 1
    return below + Fraction(value - levels[below], levels[below + 1] - levels[below])


def total_score(criteria: Sequence[Mapping[str, Any]], values: Mapping[str, int | Fraction]) -> float | None:
    """Return the weighted sum, rounded to 3 decimals; None until every criterion has a value.

    values -- scores or mean scores, by criterion key
    """
    if any(criterion["key"] not in values for criterion in criteria):
        return None
    # A weight of 0.1 is exactly a tenth, not the nearest float.
    exact = sum(Fraction(repr(criterion["weight"])) * values[criterion["key"]] for criterion in criteria)
    return float(round_half_away(Fraction(exact), 3))


def total_score_range(criteria: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """Return the lowest and highest possible total."""
    ranges = {criterion["key"]: value_range(criterion) for criterion in criteria}
    lowest = total_score(criteria, {key: low for key, (low, _) in ranges.items()})
    highest = total_score(criteria, {key: high for key, (_, high) in ranges.items()})
    return lowest, highest
