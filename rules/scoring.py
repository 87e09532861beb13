"""What scores against a rubric come to: exact, rounded once, at the end."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rules.rounding import round_half_away

TOTAL_DIGITS = 3


def criterion_of(criteria: Iterable[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
    return next((criterion for criterion in criteria if criterion["key"] == key), None)


def scale(criterion: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and the highest value of a criterion's levels; every whole number between them is a score."""
    values = [level["value"] for level in criterion["levels"]]
    return min(values), max(values)


def total(criteria: Sequence[Mapping[str, Any]], values: Mapping[str, int]) -> float | None:
    """The sum of weight times value over all criteria, with 3 decimals; None until each has a value.

    values -- the score that counts, by the criterion's key
    """
    if any(criterion["key"] not in values for criterion in criteria):
        return None
    exact = sum(_weight(criterion) * values[criterion["key"]] for criterion in criteria)
    return float(round_half_away(Fraction(exact), TOTAL_DIGITS))


def total_range(criteria: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """The totals of somebody who gets the lowest, and the highest, value everywhere."""
    scales = {criterion["key"]: scale(criterion) for criterion in criteria}
    lowest = total(criteria, {key: least for key, (least, _) in scales.items()})
    highest = total(criteria, {key: most for key, (_, most) in scales.items()})
    return lowest, highest


def _weight(criterion: Mapping[str, Any]) -> Fraction:
    # By its decimal form: a weight of 0.1 is a tenth, and not the float beside it.
    return Fraction(repr(criterion["weight"]))
