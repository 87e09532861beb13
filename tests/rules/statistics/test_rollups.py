"""A cohort's totals and rank counters (R19 to R21)."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from rules.statistics.cohorts import METRICS
from rules.statistics.rollups import LEVELS, counts, difference, merit, totals, versions

SESSION = {
    "duration_ms": 2**24 + 2**16 + 2**8 + 1, "prompt_count": 3, "command_fail_rate": 500_000_000,
    "verify_intensity": 0, "manual_edit_ratio": None, "first_change_latency_ms": None,
    "tests_passed": True, "derivation_version": 2, "event_count": 5,
    "further_metrics": {"known_exit_code_count": 2, "file_change_count": 0},
}  # fmt: skip
EDGES = [0, 1, 255, 256, 257, 65_535, 65_536, 2**24 - 1, 2**24, 2**32, 10**9, 2**62, 2**63 - 1]


def test_a_session_adds_its_values_to_the_totals():
    sums = {"duration_ms_sum": 16_843_009, "prompt_count_sum": 3, "command_fail_rate_sum": 500_000_000}
    names = ("duration_ms", "prompt_count", "command_fail_rate", "verify_intensity")
    ones = dict.fromkeys(["sessions", "passed", "version_2", *(f"{name}_count" for name in names)], 1)
    observations = {"duration_ms_observations": 5, "prompt_count_observations": 3}
    observations |= {"command_fail_rate_observations": 2, "manual_edit_ratio_unobserved": 1}
    assert totals(SESSION) == ones | sums | observations
    assert totals(SESSION | {"event_count": 0})["empty"] == 1
    for tests_passed in (False, None):
        assert "passed" not in totals(SESSION | {"tests_passed": tests_passed})
    assert totals(None) == counts(None) == {}


def test_versions_in_use_are_sorted():
    assert versions({"sessions": 3, "version_10": 1, "version_9": 2}) == [9, 10]


def test_a_session_is_counted_once_on_each_level_of_each_metric_with_a_value():
    tree = counts(SESSION)
    assert set(tree.values()) == {1}
    assert [bucket for metric, _, bucket in sorted(tree) if metric == 0] == [1, 257, 65_793, 16_843_009]
    assert Counter(metric for metric, _, _ in tree) == {0: 4, 1: 4, 2: 4, 3: 4}


def test_the_last_level_is_exact_and_each_bucket_has_one_parent():
    assert (LEVELS[0].parent_shift, LEVELS[-1].shift) == (None, 0)
    assert all(above.shift == level.parent_shift for above, level in pairwise(LEVELS))


@pytest.mark.parametrize("lower_is_better", [False, True])
def test_a_rank_is_the_sum_of_the_lower_siblings(lower_is_better):
    chance = random.Random(5)
    values = EDGES + [chance.choice((chance.randrange(400), chance.getrandbits(30))) for _ in range(150)]
    metric = METRICS[0]._replace(lower_is_better=lower_is_better)
    merits = [merit(metric, value) for value in values]
    tree = Counter((level, merit >> level.shift) for merit in merits for level in LEVELS)
    for value, own in zip(values, merits, strict=True):
        beaten = sum(count_lower_siblings(tree, level, own) for level in LEVELS)
        assert beaten == sum(other > value if lower_is_better else other < value for other in values)


def count_lower_siblings(tree, level, own):
    def parent(bucket):
        return None if level.parent_shift is None else bucket >> (level.parent_shift - level.shift)

    limit = own >> level.shift
    siblings = {
        bucket: n for (other, bucket), n in tree.items() if (other, parent(bucket)) == (level, parent(limit))
    }
    return sum(n for bucket, n in siblings.items() if bucket < limit)


def test_a_difference_has_only_changed_counters():
    old, new = Counter({"a": 1, "b": 2}), Counter({"b": 2, "c": 3})
    assert difference(old, new) == {"a": -1, "c": 3}
    assert difference(new, new) == {}
