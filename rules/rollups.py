"""A cohort as counters that add up, so that one session more or less changes a few of them (R19 to R21).

`totals` are for the averages. For the ranks each metric has a tree of counts: a level counts sessions by their merit
without its last `shift` bits, and a bucket of the level above has 2 ** `bits` buckets of this one. How many sessions
have less merit than one of them is the sum of what stands to its left among its siblings, level by level: at most
255 counters a level below the first, for any number of sessions. It needs nothing but shifts, which are the same here
and in every database.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rules.cohorts import METRICS, Metric


class Level(NamedTuple):
    shift: int
    bits: int | None


# Above the first there is nothing. It counts by 4.7 hours, or by 0.017 of a ratio, so that few of it are in use.
LEVELS = (Level(24, None), Level(16, 8), Level(8, 8), Level(0, 8))


def merit(metric: Metric, value: int) -> int:
    """The value, or its opposite where lower is better: more merit beats less (R20)."""
    return -value if metric.lower_is_better else value


def totals(values: Mapping[str, Any]) -> Counter[str]:
    """What a session adds to its cohort's totals: to `sessions`, to `passed`, to `version_<n>` of its derivation, and
    for each metric that has a value to `<field>_sum` and `<field>_count`.

    values -- the session's columns
    """
    found = Counter({"sessions": 1, f"version_{values['derivation_version']}": 1})
    found["passed"] = int(values["tests_passed"] is True)
    for metric in METRICS:
        value = values[metric.field]
        if value is not None:
            found += Counter({f"{metric.field}_count": 1, f"{metric.field}_sum": value})
    return +found


def versions(totals: Mapping[str, int]) -> list[int]:
    """The versions of the definition by which the cohort's metrics were derived; usually there is one."""
    return sorted(int(name.removeprefix("version_")) for name in totals if name.startswith("version_"))


def counts(values: Mapping[str, Any]) -> Counter[tuple[int, int, int]]:
    """The counters in the trees that a session is counted by: (place in METRICS, place in LEVELS, bucket)."""
    return Counter(_counts(values))


def _counts(values: Mapping[str, Any]) -> Iterator[tuple[int, int, int]]:
    for place, metric in enumerate(METRICS):
        value = values[metric.field]
        if value is not None:
            for number, level in enumerate(LEVELS):
                yield place, number, merit(metric, value) >> level.shift


def change(old: Counter[Any], new: Counter[Any]) -> dict[Any, int]:
    """What has to be added to counters so that they count `new` instead of `old`; without what stays as it is."""
    return {key: new[key] - old[key] for key in old.keys() | new.keys() if new[key] != old[key]}
