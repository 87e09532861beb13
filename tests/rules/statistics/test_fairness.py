"""Selection rates of groups, compared with scipy (docs/statistics.md#fairness)."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.statistics.fairness import Group, compare, find_suppressed, fisher_exact

SIZES = st.integers(1, 60)


@settings(deadline=None)
@given(SIZES, SIZES, st.data())
def test_the_p_value_is_that_of_scipy(decided, other_decided, data):
    from scipy import stats  # here, since the import takes a second

    group = Group("A", decided, data.draw(st.integers(0, decided)))
    other = Group("B", other_decided, data.draw(st.integers(0, other_decided)))
    table = [[each.selected, each.decided - each.selected] for each in (group, other)]
    assert float(fisher_exact(group, other)) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)


@settings(deadline=None)
@example(["A"] * 2000 + ["B"] * 2000, 3)
@given(st.lists(st.sampled_from("ABC"), min_size=15, max_size=80), st.integers(1, 5))
def test_rates_and_ratios_are_those_of_the_decisions(names, modulus):
    decisions = [(name, "hired" if number % modulus else "rejected") for number, name in enumerate(names)]
    report = compare([*decisions, ("A", "undecided")])
    assert {group["group"] for group in report["groups"]} | set(report["suppressed"]) == {*names, "A"}
    highest = max((group["rate"] for group in report["groups"]), default=0)
    for group in report["groups"]:
        outcomes = [decision for name, decision in decisions if name == group["group"]]
        assert (group["decided"], group["selected"]) == (len(outcomes), outcomes.count("hired"))
        assert group["rate"] == pytest.approx(group["selected"] / group["decided"], abs=5.1e-4)
        if highest:
            assert group["impact_ratio"] == pytest.approx(group["rate"] / highest, abs=6e-3)
    assert [group["p_value"] for group in report["groups"]].count(None) == bool(report["groups"])


def test_advanced_and_hired_candidates_are_selected_among_the_decided():
    made = {"advanced": 3, "hired": 1, "rejected": 4, "undecided": 9}
    decisions = [("A", decision) for decision, count in made.items() for _ in range(count)]
    (group,) = compare(decisions)["groups"]
    assert (group["decided"], group["selected"], group["rate"], group["impact_ratio"]) == (8, 4, 0.5, 1.0)


def test_a_ratio_just_below_four_fifths_is_below_it():
    decisions = [("A", "hired")] * 10_000 + [("B", "hired")] * 7_999 + [("B", "rejected")] * 2_001
    shown = {group["group"]: group for group in compare(decisions)["groups"]}
    assert (shown["B"]["impact_ratio"], shown["B"]["below_four_fifths"]) == (0.8, True)
    assert not shown["A"]["below_four_fifths"]


def test_without_a_selected_candidate_there_is_no_ratio():
    groups = compare([(name, "rejected") for name in "AB" for _ in range(6)])["groups"]
    assert [(group["rate"], group["impact_ratio"], group["below_four_fifths"]) for group in groups] == [
        (0.0, None, False),
        (0.0, None, False),
    ]
    assert {group["p_value"] for group in groups} == {None, 1.0}


@pytest.mark.parametrize(
    ("decided", "suppressed"),
    [
        ({"A": 5, "B": 5}, ""),
        # One remainder would reveal the small group, so the next larger one is suppressed as well.
        ({"A": 4, "B": 9, "C": 8}, "AC"),
        ({"A": 4, "B": 9}, "AB"),
        ({"A": 4, "B": 4, "C": 8}, "AB"),
        # Two candidates of two groups are still fewer than 5.
        ({"A": 1, "B": 1, "C": 8, "D": 7}, "ABD"),
        ({"A": 2, "B": 3, "C": 8}, "AB"),
        # Nobody was decided: the remainder is empty.
        ({"A": 0, "B": 9, "C": 8}, "A"),
        ({"A": 0, "B": 1, "C": 8, "D": 9}, "ABC"),
        ({"A": 3}, "A"),
        ({}, ""),
    ],
)
def test_small_groups_and_those_that_would_reveal_them_are_suppressed(decided, suppressed):
    groups = [Group(name, count, 0) for name, count in decided.items()]
    assert "".join(sorted(group.name for group in find_suppressed(groups))) == suppressed
