from itertools import islice
from time import perf_counter

import pytest

from rules.hiring_decisions import Result, find_inconsistencies, find_warnings


def test_a_rejected_result_above_an_advanced_or_hired_one_is_inconsistent():
    rejected, advanced = Result("r", "rejected", 6000, 8000), Result("a", "advanced", 10_000, 16_000)
    hired = Result("h", "hired", 6000, 8000)
    others = [Result("u", "undecided", 0, 8000), Result("n", "advanced"), Result("z", "advanced", 0, 0)]
    assert [*find_inconsistencies([rejected, advanced, hired, *others])] == [(rejected, advanced)]


def test_the_first_of_millions_of_inconsistencies_are_found_at_once():
    decisions = ("rejected", "advanced")
    results = [Result(n, decisions[n % 2], 10_000 - n, 10_000) for n in range(0, 10_000, 2)]
    results += [Result(n, decisions[n % 2], n, 20_000) for n in range(1, 10_000, 2)]
    start = perf_counter()
    first = [*islice(find_inconsistencies(results), 3)]
    assert perf_counter() - start < 5
    assert [(rejected.id, other.id) for rejected, other in first] == [(0, 1), (0, 3), (0, 5)]


@pytest.mark.parametrize(
    ("decision", "total", "message"),
    [
        ("rejected", 5000, "Candidates advanced or hired with a lower total: 1."),
        ("rejected", 4000, None),
        ("advanced", 2000, "Candidates rejected with a higher total: 1."),
        ("hired", 3000, None),
        ("advanced", None, None),
    ],
)
def test_a_total_is_compared_with_opposite_decisions(decision, total, message):
    own = Result("own", decision, total, 8000)
    others = [Result("a", "advanced", 4000, 8000), Result("r", "rejected", 3000, 8000)]
    warnings = find_warnings(own, others, None, [])
    assert [warning["message"] for warning in warnings] == ([message] if message else [])


def test_findings_that_can_change_the_results_are_a_warning_of_their_own():
    warnings = find_warnings(Result("own", "hired"), [], "Not scored.", ["call_not_recorded", "clock_jump"])
    assert [(warning["code"], warning.get("finding_codes")) for warning in warnings] == [
        ("missing_scores", None),
        ("findings", ["clock_jump"]),
        ("results_changed", ["call_not_recorded"]),
    ]
