"""A cohort as totals and counters, of which a session changes a few (R19 to R21).

Averages are computed from the totals, ranks from a tree of counters for each metric. Each level counts sessions by
their merit without its last `shift` bits, so each bucket splits into 256 buckets of the next level. The number of
sessions with less merit than a given one is the sum of the counters to its left among its siblings, over all levels:
at most 255 counters on each level below the first, for any number of sessions.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

from rules.metrics.derivation import observations
from rules.statistics.cohorts import METRICS, Metric

# (index in METRICS, index in LEVELS, bucket)
Place = tuple[int, int, int]
# The `metric` of the counters of an assessment's keys, which are the buckets 0 to STRIPES - 1 of level 0. Writers pick
# one of them at random, so that they rarely wait for each other; only the sum has a meaning.
KEYS, STRIPES = -1, 16
Key = TypeVar("Key", str, Place)


class Level(NamedTuple):
    """One level of the tree; the first has no parent."""

    shift: int
    parent_shift: int | None


# The first level counts by 4.7 hours, or by 0.017 of a ratio, so that few of its buckets are in use.
LEVELS = (Level(24, None), Level(16, 24), Level(8, 16), Level(0, 8))


EXACT = len(LEVELS) - 1  # the level whose buckets are one merit each
# So few sessions are read from that level at once.
FEW_SESSIONS = 256


class Range(NamedTuple):
    """A range of buckets on one level, in which a session with a given rank is looked up."""

    metric: int  # index in METRICS
    level: int  # index in LEVELS
    first: int = 1 - 2**63  # PostgreSQL reads -2**63 as a numeric
    last: int = 2**63 - 1
    end: str | None = None  # "first" or "last": only this bucket of the range

    @classmethod
    def to_search(cls, metric: int, sessions: int, rank: int) -> "Range":
        """The range in which the search for a rank starts, in a metric with so many sessions."""
        if sessions <= FEW_SESSIONS:
            return cls(metric, EXACT)
        end = {0: "first", sessions - 1: "last"}.get(rank)
        return cls(metric, EXACT if end else 0, end=end)

    @property
    def is_exact(self) -> bool:
        """Return whether each bucket is one merit."""
        return self.level == EXACT

    def below(self, bucket: int, sessions: int) -> "Range":
        """The buckets of a lower level that divide one of this level's with so many sessions."""
        level = EXACT if sessions <= FEW_SESSIONS else self.level + 1
        width = LEVELS[self.level].shift - LEVELS[level].shift
        return Range(self.metric, level, bucket << width, (bucket + 1 << width) - 1)


def find_rank(counters: Sequence[tuple[int, int]], rank: int) -> tuple[int, int, int]:
    """The bucket of the session with this rank, its number of sessions, and the session's rank among them.

    counters -- (bucket, sessions) by ascending bucket, at least one
    """
    ends = list(accumulate(sessions for _, sessions in counters))
    index = min(bisect_right(ends, rank), len(ends) - 1)
    bucket, sessions = counters[index]
    return bucket, sessions, rank - (ends[index] - sessions)


def merit(metric: Metric, value: int) -> int:
    """The value, negated where lower is better: more merit beats less (R20)."""
    return -value if metric.lower_is_better else value


def totals(session: Mapping[str, Any] | None) -> Counter[str]:
    """A session's share of the totals; empty for None.

    `sessions`, `passed`, `empty` without any event, `version_<n>` of the definition, and `<field>_sum` and
    `<field>_count` of each metric with a value. `<field>_observations` is what they rest on, `<field>_unobserved` the
    sessions for which that is unknown.

    session -- its columns
    """
    if session is None:
        return Counter()
    totals = Counter({"sessions": 1, f"version_{session['derivation_version']}": 1})
    totals["passed"] = int(session["tests_passed"] is True)
    totals["empty"] = int(session["event_count"] == 0)
    observed = observations(session)
    for metric in METRICS:
        value, count = session[metric.field], observed[metric.field]
        if value is not None:
            totals.update({f"{metric.field}_count": 1, f"{metric.field}_sum": value})
        name = f"{metric.field}_unobserved" if count is None else f"{metric.field}_observations"
        totals[name] = 1 if count is None else count
    return +totals


def versions(totals: Mapping[str, int]) -> list[int]:
    """The versions of the metrics' definition that the cohort uses; usually one."""
    return sorted(int(name.removeprefix("version_")) for name in totals if name.startswith("version_"))


def counts(session: Mapping[str, Any] | None) -> Counter[Place]:
    """The counters of a session in the trees; empty for None."""
    return Counter(
        (index, number, merit(metric, session[metric.field]) >> level.shift)
        for index, metric in enumerate(METRICS)
        if session is not None and session[metric.field] is not None
        for number, level in enumerate(LEVELS)
    )


def difference(old: Counter[Key], new: Counter[Key]) -> dict[Key, int]:
    """The additions that turn the `old` counters into the `new` ones."""
    return {key: new[key] - old[key] for key in old.keys() | new.keys() if new[key] != old[key]}
