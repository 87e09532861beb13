"""Exact rounding: rationals in, rationals out, no float on the way (metrics.md "Exactness", R21)."""

from fractions import Fraction
from math import floor

_HALF = Fraction(1, 2)


def half_up(value: Fraction) -> int:
    """The nearest integer; what lies in the middle goes up."""
    return floor(value + _HALF)


def round_half_away(value: Fraction, digits: int) -> Fraction:
    """`value` with that many decimals, as an exact fraction; what lies in the middle goes away from zero."""
    scale = 10**digits
    rounded = Fraction(half_up(abs(value) * scale), scale)
    return -rounded if value < 0 else rounded
