"""Selection rates by group (docs/statistics.md#fairness)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.statistics.fairness import Group, compare, find_suppressed, fisher_exact

SIZES = st.integers(1, 60)


@given(SIZES, SIZES, st.data())
def test_p_values_match_scipy(decided, other_decided, data):
    from scipy import stats  # slow import

    group = Group("A", decided, data.draw(st.integers(0, decided)))
    other = Group("B", other_decided, data.draw(st.integers(0, other_decided)))
    table = [[row.selected, row.decided - row.selected] for row in (group, other)]
    assert float(fisher_exact(group, other)) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)


@example(["A"] * 2000 + ["B"] * 2000, 3)
@given(st.lists(st.sampled_from("ABC"), min_size=15, max_size=80), st.integers(1, 5))
def test_rates_and_ratios_match_the_decisions(names, modulus):
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


def test_advanced_and_hired_candidates_are_selected():
    counts = {"advanced": 3, "hired": 1, "rejected": 4, "undecided": 9}
    decisions = [("A", decision) for decision, count in counts.items() for _ in range(count)]
    (group,) = compare(decisions)["groups"]
    assert (group["decided"], group["selected"], group["rate"], group["impact_ratio"]) == (8, 4, 0.5, 1.0)


def test_four_fifths_are_compared_before_rounding():
    decisions = [("A", "hired")] * 10_000 + [("B", "hired")] * 7_999 + [("B", "rejected")] * 2_001
    groups = {group["group"]: group for group in compare(decisions)["groups"]}
    assert (groups["B"]["impact_ratio"], groups["B"]["below_four_fifths"]) == (0.8, True)
    assert not groups["A"]["below_four_fifths"]


def test_groups_without_selected_candidates_have_no_ratio():
    groups = compare([(name, "rejected") for name in "AB" for _ in range(6)])["groups"]
    for group in groups:
        assert (group["rate"], group["impact_ratio"], group["below_four_fifths"]) == (0.0, None, False)
    assert {group["p_value"] for group in groups} == {None, 1.0}


@pytest.mark.parametrize(
    ("decided", "suppressed"),
    [
        ({"A": 5, "B": 5}, ""),
        # The totals would reveal a single small group, so the next larger one is also suppressed.
        ({"A": 4, "B": 9, "C": 8}, "AC"),
        ({"A": 4, "B": 9}, "AB"),
        ({"A": 4, "B": 4, "C": 8}, "AB"),
        # Two groups with fewer than 5 candidates together.
        ({"A": 1, "B": 1, "C": 8, "D": 7}, "ABD"),
        ({"A": 2, "B": 3, "C": 8}, "AB"),
        # A group without decided candidates reveals nothing.
        ({"A": 0, "B": 9, "C": 8}, "A"),
        ({"A": 0, "B": 1, "C": 8, "D": 9}, "ABC"),
        ({"A": 3}, "A"),
        ({}, ""),
    ],
)
def test_small_groups_are_suppressed_and_cannot_be_inferred(decided, suppressed):
    groups = [Group(name, count, 0) for name, count in decided.items()]
    assert "".join(sorted(group.name for group in find_suppressed(groups))) == suppressed
