"""Compare an assessment's reviewers: strict or lenient, and on which criteria (docs/statistics.md#reviewers)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from statistics import pstdev
from typing import Any

from rules.statistics.rounding import round_half_away
from rules.statistics.scoring import value_range

Scorecard = tuple[Sequence[Mapping[str, Any]], Sequence[tuple[Any, str, int]]]


def compare_reviewers(scorecards: Iterable[Scorecard]) -> dict[Any, dict[str, Any]]:
    """Return each reviewer's number of scores, mean and spread, and differences from the others, by criterion.

    Means, spreads and differences are shares of a criterion's scale, rounded to 3 decimals.

    scorecards -- each session's criteria, and its current scores as reviewer, criterion key and value
    """
    shares = defaultdict[Any, list[Fraction]](list)
    differences = defaultdict[Any, dict[str, list[Fraction]]](lambda: defaultdict(list))
    for criteria, scores in scorecards:
        for key, (lowest, highest) in ((criterion["key"], value_range(criterion)) for criterion in criteria):
            given = {
                reviewer: Fraction(value - lowest, highest - lowest)
                for reviewer, scored_key, value in scores
                if scored_key == key
            }
            for reviewer, share in given.items():
                shares[reviewer].append(share)
                if len(given) > 1:
                    others = (sum(given.values()) - share) / (len(given) - 1)
                    differences[reviewer][key].append(share - others)
    return {
        reviewer: {
            "score_count": len(values),
            "mean": _mean(values),
            "spread": round(pstdev(values), 3) if len(values) > 1 else None,
            "criteria": [
                {"key": key, "compared_count": len(compared), "difference": _mean(compared)}
                for key, compared in differences[reviewer].items()
            ],
        }
        for reviewer, values in shares.items()
    }


def _mean(values: Sequence[Fraction]) -> float:
    return float(round_half_away(sum(values, Fraction()) / len(values), 3))
