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
COLUMNS = ("id", "derivation_version", "tests_passed", "event_count", "further_metrics", *METRICS)


def totals(sessions):
    """The expected totals of a cohort; `sessions` are dicts of COLUMNS."""
    sums = Counter(sessions=len(sessions), passed=sum(bool(session["tests_passed"]) for session in sessions))
    sums.update(f"version_{session['derivation_version']}" for session in sessions)
    for metric in METRICS:
        values = _values(sessions, metric)
        sums[f"{metric}_count"], sums[f"{metric}_sum"] = len(values), sum(values)
        counts = [observations(session)[metric] for session in sessions]
        sums[f"{metric}_observations"] = sum(count for count in counts if count is not None)
        sums[f"{metric}_unobserved"] = counts.count(None)
    sums["empty"] = sum(not session["event_count"] for session in sessions)
    return {name: number for name, number in sums.items() if number != 0}


def observations(session):
    """By metric, the number of observations of a session, as in docs/metrics.md; None if it was not derived."""
    further = session["further_metrics"]
    changes = further.get("file_change_count")
    return {
        "duration_ms": 0 if session["duration_ms"] is None else session["event_count"],
        "prompt_count": session["prompt_count"],
        "command_fail_rate": further.get("known_exit_code_count"),
        "verify_intensity": changes,
        "manual_edit_ratio": further.get("attributed_change_count"),
        "first_change_latency_ms": changes,
    }


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
