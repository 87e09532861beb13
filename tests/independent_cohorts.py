"""A second implementation of a cohort's totals and ranks (R19 to R21).

It shares nothing with `rules`: tests compare the two.
"""

from bisect import bisect_left
from collections import Counter
from fractions import Fraction

HIGHER_IS_BETTER = {
    "duration_ms": True,
    "prompt_count": True,
    "command_fail_rate": False,
    "verify_intensity": True,
    "manual_edit_ratio": True,
    "first_change_latency_ms": True,
}
COLUMNS = ("id", "derivation_version", "tests_passed", *HIGHER_IS_BETTER)


def totals(sessions):
    """The expected totals of a cohort; `sessions` are dicts of COLUMNS."""
    sums = {"sessions": len(sessions), "passed": sum(bool(session["tests_passed"]) for session in sessions)}
    for version, count in Counter(session["derivation_version"] for session in sessions).items():
        sums[f"version_{version}"] = count
    for metric in HIGHER_IS_BETTER:
        values = _values(sessions, metric)
        sums |= {f"{metric}_count": len(values), f"{metric}_sum": sum(values)}
    return {name: number for name, number in sums.items() if number != 0}


def percentiles(sessions):
    """By session and metric the share of the others that it beats (R20)."""
    others = {metric: len(_values(sessions, metric)) - 1 for metric in HIGHER_IS_BETTER}
    ranks = beaten(sessions)
    return {
        session["id"]: {
            metric: _share(ranks[session["id"]][metric], others[metric])
            if session[metric] is not None
            else None
            for metric in HIGHER_IS_BETTER
        }
        for session in sessions
    }


def beaten(sessions):
    """By session and metric the number of strictly worse sessions."""
    ranks = {session["id"]: dict.fromkeys(HIGHER_IS_BETTER, 0) for session in sessions}
    for metric, higher_is_better in HIGHER_IS_BETTER.items():
        sign = 1 if higher_is_better else -1
        in_order = sorted(sign * value for value in _values(sessions, metric))
        for session in sessions:
            if session[metric] is not None:
                ranks[session["id"]][metric] = bisect_left(in_order, sign * session[metric])
    return ranks


def _values(sessions, metric):
    return [session[metric] for session in sessions if session[metric] is not None]


def _share(count, others):
    return int(Fraction(1000 * count, others) + Fraction(1, 2)) / 1000 if others >= 1 else None
