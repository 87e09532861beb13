"""Total scores of a rubric, exact and rounded once."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rules.rounding import round_half_away


def find_criterion(criteria: Iterable[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
    return next((criterion for criterion in criteria if criterion["key"] == key), None)


def value_range(criterion: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and highest value of a criterion's levels."""
    values = [level["value"] for level in criterion["levels"]]
    return min(values), max(values)


def total_score(criteria: Sequence[Mapping[str, Any]], values: Mapping[str, int]) -> float | None:
    """The weighted sum, with 3 decimals; None until each criterion has a value.

    values -- the current scores by the criterion's key
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
