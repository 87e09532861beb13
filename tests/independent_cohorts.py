"""A second implementation of a cohort's ranks and averages (R19 to R21).

It shares nothing with `rules`: tests compare the two.
"""

from bisect import bisect_left
from fractions import Fraction

METRICS = (
    *("duration_ms", "prompt_count", "command_fail_rate"),
    *("verify_intensity", "manual_edit_ratio", "first_change_latency_ms"),
)


def observations(session):
    """By metric, the number of observations of a session, as in docs/metrics.md."""
    changes = session["file_change_count"]
    return {
        "duration_ms": 0 if session["duration_ms"] is None else session["event_count"],
        "prompt_count": session["prompt_count"],
        "command_fail_rate": session["known_exit_code_count"],
        "verify_intensity": changes,
        "manual_edit_ratio": session["attributed_change_count"],
        "first_change_latency_ms": changes,
    }


def average(sessions, metric, decimals, unit):
    """The mean in units, rounded half away from zero; values are never negative."""
    values = _values(sessions, metric)
    if not values:
        return None
    scaled = int(Fraction(sum(values), len(values) * unit) * 10**decimals + Fraction(1, 2))
    return scaled / 10**decimals if decimals else scaled


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
