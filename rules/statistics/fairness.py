"""Decisions about candidates, and selection rates of groups (docs/statistics.md#fairness)."""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from math import comb
from typing import Any, NamedTuple

from rules.statistics.rounding import ratio, round_half_away

DECISIONS = ("undecided", "advanced", "rejected", "hired")
SELECTED = frozenset({"advanced", "hired"})
MIN_DECIDED = 5  # a smaller group is suppressed
FOUR_FIFTHS = Fraction(4, 5)


class Group(NamedTuple):
    """The decided candidates of a group, and the selected ones among them."""

    name: str
    decided: int
    selected: int

    @property
    def rate(self) -> Fraction:
        return Fraction(self.selected, self.decided)


def compare(decisions: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Compare the selection rates of groups with the highest one: `groups`, and the names of the `suppressed`.

    decisions -- (group, decision) of each candidate
    """
    groups = count(decisions)
    suppressed = to_suppress(groups)
    shown = [group for group in groups if group not in suppressed]
    reference = max(shown, key=lambda group: (group.rate, group.decided), default=None)
    return {
        "groups": [_comparison(group, reference) for group in shown if reference],
        "suppressed": [group.name for group in groups if group in suppressed],
    }


def count(decisions: Iterable[tuple[str, str]]) -> list[Group]:
    """The groups by name, including those without a decided candidate."""
    decided: Counter[str] = Counter()
    selected: Counter[str] = Counter()
    for name, decision in decisions:
        decided[name] += decision != "undecided"
        selected[name] += decision in SELECTED
    return [Group(name, decided[name], selected[name]) for name in sorted(decided)]


def to_suppress(groups: list[Group]) -> set[Group]:
    """The groups with fewer than MIN_DECIDED candidates, and the smallest others that would reveal them.

    A reader may know the totals of all groups. The remainder then has to be that of at least two groups, and of at
    least MIN_DECIDED candidates.
    """
    by_size = sorted(groups, key=lambda group: (group.decided, group.name))
    suppressed = [group for group in by_size if group.decided < MIN_DECIDED]
    others = by_size[len(suppressed) :]
    while others and _reveals_one(suppressed):
        suppressed.append(others.pop(0))
    return set(suppressed)


def _reveals_one(suppressed: list[Group]) -> bool:
    sizes = [group.decided for group in suppressed if group.decided]
    return bool(sizes) and (len(sizes) < 2 or sum(sizes) < MIN_DECIDED)


def _comparison(group: Group, reference: Group) -> dict[str, Any]:
    impact = group.rate / reference.rate if reference.selected else None
    return {
        "group": group.name,
        "decided": group.decided,
        "selected": group.selected,
        "rate": ratio(group.selected, group.decided),
        "impact_ratio": None if impact is None else ratio(impact.numerator, impact.denominator),
        "below_four_fifths": impact is not None and impact < FOUR_FIFTHS,
        "p_value": None if group == reference else float(round_half_away(fisher_exact(group, reference), 6)),
    }


def fisher_exact(group: Group, other: Group) -> Fraction:
    """The two-sided p-value of Fisher's exact test of two selection rates.

    The probability of all tables with the same totals that are at most as probable as the observed one.
    """
    selected = group.selected + other.selected
    lowest = max(0, selected - other.decided)
    weights = [comb(group.decided, lowest) * comb(other.decided, selected - lowest)]
    for k in range(lowest, min(group.decided, selected)):
        more = (group.decided - k) * (selected - k)
        weights.append(weights[-1] * more // ((k + 1) * (other.decided - selected + k + 1)))
    observed = weights[group.selected - lowest]
    return Fraction(sum(weight for weight in weights if weight <= observed), sum(weights))
