"""Round fractions exactly (docs/metrics.md#exactness, R21)."""

from fractions import Fraction
from math import floor

NS_PER_MS = 10**6
BILLION = 10**9  # ratios and dollars are stored as billionths


def half_up(value: Fraction) -> int:
    """Round to the nearest integer; ties round up."""
    return floor(value + Fraction(1, 2))


def round_half_away(value: Fraction, digits: int) -> Fraction:
    """Round to `digits` decimals, exactly; ties round away from zero."""
    scale = 10**digits
    rounded = Fraction(half_up(abs(value) * scale), scale)
    return -rounded if value < 0 else rounded


def half_up_ratio(part: int, whole: int, scale: int) -> int:
    """Return part / whole in units of 1/scale; ties round up. `whole` is positive."""
    return (2 * part * scale + whole) // (2 * whole)


def milliseconds(nanoseconds: int) -> int:
    """Round to milliseconds; ties round up."""
    return (nanoseconds + NS_PER_MS // 2) // NS_PER_MS


def ratio(part: int, whole: int) -> float | None:
    """Return part / whole, rounded to 3 decimals; None if `whole` is 0."""
    return float(round_half_away(Fraction(part, whole), 3)) if whole else None
