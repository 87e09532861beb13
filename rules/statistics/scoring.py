"""Scores of a rubric's criteria by several reviewers, and the total: exact, and rounded once."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rules.statistics.rounding import round_half_away


def find_criterion(criteria: Iterable[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
    return next((criterion for criterion in criteria if criterion["key"] == key), None)


def value_range(criterion: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and highest value of a criterion's levels."""
    values = [level["value"] for level in criterion["levels"]]
    return min(values), max(values)


# Reviewers disagree if their values are at least this many levels apart.
DISAGREEMENT_LEVELS = 2


def mean(values: Sequence[int]) -> Fraction | None:
    return Fraction(sum(values), len(values)) if values else None


def summarize(criterion: Mapping[str, Any], values: Sequence[int]) -> dict[str, Any]:
    """Mean (with 3 decimals), spread and disagreement of the reviewers' values; nulls without a value."""
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
    """The value's position among the levels; between two levels, by linear interpolation."""
    levels = sorted(level["value"] for level in criterion["levels"])
    below = min(bisect_right(levels, value), len(levels) - 1) - 1
    return below + Fraction(value - levels[below], levels[below + 1] - levels[below])


def total_score(criteria: Sequence[Mapping[str, Any]], values: Mapping[str, int | Fraction]) -> float | None:
    """The weighted sum, with 3 decimals; None until each criterion has a value.

    values -- the scores, or their means, by the criterion's key
    """
    if any(criterion["key"] not in values for criterion in criteria):
        return None
    # A weight of 0.1 is a tenth, not the nearest float.
    exact = sum(Fraction(repr(criterion["weight"])) * values[criterion["key"]] for criterion in criteria)
    return float(round_half_away(Fraction(exact), 3))


def total_score_range(criteria: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """The lowest and highest possible total."""
    ranges = {criterion["key"]: value_range(criterion) for criterion in criteria}
    lowest = total_score(criteria, {key: low for key, (low, _) in ranges.items()})
    highest = total_score(criteria, {key: high for key, (_, high) in ranges.items()})
    return lowest, highest
