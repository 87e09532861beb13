"""An independent implementation of cohort statistics (docs/statistics.md, R19 to R21), without code from `rules`."""

from fractions import Fraction

import numpy

# Column, unit, decimals, direction and observation-count column, by the metric's name in responses
METRICS = {
    "durationMs": ("duration_ms", 1, 0, "neither", "event_count"),
    "promptCount": ("prompt_count", 1, 1, "neither", "prompt_count"),
    "commandFailRate": ("command_fail_rate", 10**9, 3, "lower_is_better", "known_exit_code_count"),
    "verifyIntensity": ("verify_intensity", 10**9, 3, "higher_is_better", "file_change_count"),
    "manualEditRatio": ("manual_edit_ratio", 10**9, 3, "neither", "attributed_change_count"),
    "firstChangeLatencyMs": ("first_change_latency_ms", 1, 0, "neither", "file_change_count"),
}
QUARTILES = ("minimum", "lowerQuartile", "median", "upperQuartile", "maximum")


def check(stats, sessions, requested=None):
    """Check `cohortStats` against the sessions' columns; `requested` is the requested session's row, if any."""
    assert stats["sessionCount"] == len(sessions)
    assert stats["empty"] == sum(session["event_count"] == 0 for session in sessions)
    assert stats["small"] is (len(sessions) < 10)
    assert ("percentiles" in stats) is (requested is not None and len(sessions) > 1)
    passed = sum(session["tests_passed"] is True for session in sessions)
    assert stats["metrics"]["testPassRate"] == half_up(Fraction(100 * passed, len(sessions)))
    for name, (column, unit, decimals, direction, _) in METRICS.items():
        summary = stats["summary"][name]
        known = [session[column] for session in sessions if session[column] is not None]
        average = rounded(Fraction(sum(known), len(known) * unit), decimals) if known else None
        assert stats["metrics"][f"avg{name[0].upper()}{name[1:]}"] == average, name
        values = numpy.array(known, dtype=float)
        assert (summary["n"], summary["direction"]) == (len(values), direction)
        assert summary["observations"] == sum(observations(session, name) for session in sessions), name
        expected = numpy.quantile(values / unit, [0, 0.25, 0.5, 0.75, 1]) if known else [None] * 5
        for quartile, value in zip(QUARTILES, expected, strict=True):
            assert is_rounded(summary[quartile], value, decimals), (name, quartile)
        if requested is not None:
            percentile = check_rank(name, summary, values, requested)
            assert len(sessions) == 1 or stats["percentiles"][name] == percentile, name


def check_rank(name, summary, values, requested):
    """Check the session's rank and return its percentile, the share of other sessions that it beats (R20)."""
    column, unit, decimals, *_ = METRICS[name]
    value, others = requested[column], len(values) - 1
    assert summary["valueObservations"] == observations(requested, name)
    rank = [summary[field] for field in ("below", "equal", "above", "rank")]
    if value is None:
        assert [summary["value"], *rank] == [None] * 5
        return None
    below, above = int((values < value).sum()), int((values > value).sum())
    comparison = "more failures than" if name == "commandFailRate" else "higher than"
    text = f"{comparison} {below} of {others}" if others else None
    assert rank == [below, others - below - above, above, text]
    assert is_rounded(summary["value"], value / unit, decimals)
    beaten = above if name == "commandFailRate" else below
    return rounded(Fraction(beaten, others), 3) if others else None


def observations(session, name):
    """Return the number of observations in a session's metric, as defined in docs/metrics.md."""
    has_value = name != "durationMs" or session["duration_ms"] is not None
    return session[METRICS[name][-1]] if has_value else 0


def half_up(value):
    return int(value + Fraction(1, 2))


def rounded(value, decimals):
    scaled = half_up(value * 10**decimals)
    return scaled / 10**decimals if decimals else scaled


def is_rounded(actual, exact, decimals):
    """Return whether `actual` is the exact value, rounded; floating-point numbers can round halves either way."""
    if actual is None or exact is None:
        return actual is exact
    return abs(actual - exact) <= 0.5 * 10**-decimals + 1e-9 * max(1, abs(exact))
