"""A second implementation of a cohort's totals and ranks (R19 to R21).

It shares nothing with `rules`: tests compare the two.
"""

from bisect import bisect_left
from collections import Counter
from fractions import Fraction

METRICS = (
    *("duration_ms", "prompt_count", "command_fail_rate"),
    *("verify_intensity", "manual_edit_ratio", "first_change_latency_ms"),
)
COLUMNS = ("id", "derivation_version", "tests_passed", *METRICS)


def totals(sessions):
    """The expected totals of a cohort; `sessions` are dicts of COLUMNS."""
    sums = Counter(sessions=len(sessions), passed=sum(bool(session["tests_passed"]) for session in sessions))
    sums.update(f"version_{session['derivation_version']}" for session in sessions)
    for metric in METRICS:
        values = _values(sessions, metric)
        sums[f"{metric}_count"], sums[f"{metric}_sum"] = len(values), sum(values)
    return {name: number for name, number in sums.items() if number != 0}


def percentiles(sessions):
    """By session and metric, the share of the others that it beats (R20)."""
    ranks = beaten(sessions)
    shares = {session["id"]: dict.fromkeys(METRICS) for session in sessions}
    for metric in METRICS:
        others = len(_values(sessions, metric)) - 1
        for session in sessions:
            if session[metric] is not None and others >= 1:
                share = Fraction(1000 * ranks[session["id"]][metric], others)
                shares[session["id"]][metric] = int(share + Fraction(1, 2)) / 1000
    return shares


def beaten(sessions):
    """By session and metric, the number of strictly worse sessions."""
    ranks = {session["id"]: dict.fromkeys(METRICS, 0) for session in sessions}
    for metric in METRICS:
        sign = -1 if metric == "command_fail_rate" else 1
        in_order = sorted(sign * value for value in _values(sessions, metric))
        for session in sessions:
            if session[metric] is not None:
                ranks[session["id"]][metric] = bisect_left(in_order, sign * session[metric])
    return ranks


def _values(sessions, metric):
    return [session[metric] for session in sessions if session[metric] is not None]
