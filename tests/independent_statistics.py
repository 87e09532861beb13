"""A second implementation of cohort summaries, with numpy (docs/statistics.md)."""

import independent_cohorts
import numpy

# By the name in responses: column, unit of the column, decimals, direction.
METRICS = {
    "durationMs": ("duration_ms", 1, 0, "neither"),
    "promptCount": ("prompt_count", 1, 1, "neither"),
    "commandFailRate": ("command_fail_rate", 10**9, 3, "lower_is_better"),
    "verifyIntensity": ("verify_intensity", 10**9, 3, "higher_is_better"),
    "manualEditRatio": ("manual_edit_ratio", 10**9, 3, "neither"),
    "firstChangeLatencyMs": ("first_change_latency_ms", 1, 0, "neither"),
}
QUARTILES = ("minimum", "lowerQuartile", "median", "upperQuartile", "maximum")


def check(stats, sessions, own=None):
    """Compare `cohortStats` with the columns of its sessions, among them that of the `sessionId`, if any."""
    assert stats["sessionCount"] == len(sessions)
    assert stats["empty"] == sum(session["event_count"] == 0 for session in sessions)
    assert stats["small"] is (len(sessions) < 10)
    for name, (column, unit, decimals, direction) in METRICS.items():
        summary = stats["summary"][name]
        average = independent_cohorts.average(sessions, column, decimals, unit)
        assert stats["metrics"][f"avg{name[0].upper()}{name[1:]}"] == average, name
        values = numpy.array([row[column] for row in sessions if row[column] is not None], dtype=float)
        assert (summary["n"], summary["direction"]) == (len(values), direction)
        assert summary["observations"] == sum(observed(row, column) for row in sessions), name
        expected = numpy.quantile(values / unit, [0, 0.25, 0.5, 0.75, 1]) if len(values) else [None] * 5
        for quartile, value in zip(QUARTILES, expected, strict=True):
            assert is_rounded(summary[quartile], value, decimals), (name, quartile)
        if own is not None:
            comparison = "more failures than" if name == "commandFailRate" else "higher than"
            check_place(summary, values, own, column, unit, decimals, comparison)
    if own is not None and len(sessions) > 1:
        percentiles = independent_cohorts.percentiles(sessions)[own["id"]]
        assert stats["percentiles"] == {name: percentiles[column] for name, (column, *_) in METRICS.items()}


def check_place(summary, values, own, column, unit, decimals, comparison):
    value = own[column]
    assert summary["valueObservations"] == observed(own, column)
    place = [summary[name] for name in ("below", "equal", "above", "rank")]
    if value is None:
        assert [summary["value"], *place] == [None] * 5
        return
    below, equal, above = (
        int((values < value).sum()),
        int((values == value).sum()) - 1,
        int((values > value).sum()),
    )
    assert place == [
        below,
        equal,
        above,
        f"{comparison} {below} of {len(values) - 1}" if len(values) > 1 else None,
    ]
    assert below + equal + above == summary["n"] - 1
    assert is_rounded(summary["value"], value / unit, decimals)


def observed(session, column):
    return independent_cohorts.observations(session)[column]


def is_rounded(shown, exact, decimals):
    """Return whether this is the exact value, rounded; halves may have been rounded in floating point."""
    if shown is None or exact is None:
        return shown is exact
    return abs(shown - exact) <= 0.5 * 10**-decimals + 1e-9 * max(1, abs(exact))
