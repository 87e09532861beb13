"""Hiring decisions, and selection rates by group (docs/statistics.md#fairness)."""

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
    """A group's number of decided candidates, and how many of them were selected."""

    name: str
    decided: int
    selected: int

    @property
    def rate(self) -> Fraction:
        return Fraction(self.selected, self.decided)


def compare(decisions: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Compare selection rates with the highest group's rate. Also returns the suppressed groups.

    decisions -- pairs of (group, decision), one per candidate
    """
    decided: Counter[str] = Counter()
    selected: Counter[str] = Counter()
    for name, decision in decisions:
        decided[name] += decision != "undecided"
        selected[name] += decision in SELECTED
    groups = [Group(name, decided[name], selected[name]) for name in sorted(decided)]
    suppressed = find_suppressed(groups)
    compared = [group for group in groups if group not in suppressed]
    reference = max(compared, key=lambda group: (group.rate, group.decided), default=None)
    return {
        "groups": [_comparison(group, reference) for group in compared if reference],
        "suppressed": [group.name for group in groups if group in suppressed],
    }


def find_suppressed(groups: list[Group]) -> set[Group]:
    """Return groups with fewer than MIN_DECIDED candidates, and the smallest other groups that would reveal them.

    Readers who know the totals can subtract the other groups. At least two groups with at least MIN_DECIDED candidates
    in total must therefore be suppressed.
    """
    by_size = sorted(groups, key=lambda group: (group.decided, group.name))
    suppressed = [group for group in by_size if group.decided < MIN_DECIDED]
    others = by_size[len(suppressed) :]
    while others:
        sizes = [group.decided for group in suppressed if group.decided]
        if not sizes or (len(sizes) >= 2 and sum(sizes) >= MIN_DECIDED):
            break
        suppressed.append(others.pop(0))
    return set(suppressed)


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
    """Return the two-sided p-value of Fisher's exact test for two selection rates.

    This is the total probability of all tables with the same margins that are at most as likely as the observed table.
    """
    selected = group.selected + other.selected
    lowest = max(0, selected - other.decided)
    weights = [comb(group.decided, lowest) * comb(other.decided, selected - lowest)]
    for k in range(lowest, min(group.decided, selected)):
        more = (group.decided - k) * (selected - k)
        weights.append(weights[-1] * more // ((k + 1) * (other.decided - selected + k + 1)))
    observed = weights[group.selected - lowest]
    return Fraction(sum(weight for weight in weights if weight <= observed), sum(weights))
