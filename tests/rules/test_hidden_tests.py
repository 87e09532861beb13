"""Outcomes of known tests, and a check's result."""

import pytest

from rules.hidden_tests import MAX_OUTPUTS_BYTES, compare, evaluate_check


def report(*tests):
    return [{"name": name, "outcome": outcome} for name, outcome in tests]


@pytest.mark.parametrize(
    ("reported", "outcomes", "passed", "is_complete"),
    [
        ([("a", "passed"), ("b", "failed")], ["passed", "failed"], 1, True),
        ([("b", "skipped"), ("a", "passed")], ["passed", "skipped"], 1, True),
        ([("a", "passed")], ["passed", "missing"], 1, False),
        ([("a", "passed"), ("a", "passed"), ("b", "passed")], ["failed", "passed"], 1, False),
        ([("a", "passed"), ("b", "passed"), ("c", "failed"), ("c", "failed")], ["passed", "passed"], 2, True),
        ([], ["missing", "missing"], 0, False),
    ],
)
def test_each_known_test_has_one_outcome(reported, outcomes, passed, is_complete):
    result = compare(report(*reported), ["a", "b"])
    assert [test["outcome"] for test in result.results] == outcomes
    assert (result.passed_count, result.total_count, result.is_complete) == (passed, 2, is_complete)


def test_without_known_tests_the_reported_ones_count():
    result = compare(report(("b", "passed"), ("a", "failed")), None)
    assert [test["name"] for test in result.results] == ["b", "a"]
    assert (result.passed_count, result.total_count) == (1, 2)


def test_outputs_are_limited_in_all():
    tests = [{"name": str(number), "outcome": "failed", "output": "x" * 16_384} for number in range(70)]
    results = compare(tests, None).results
    assert sum(len(test["output"] or "") for test in results) <= MAX_OUTPUTS_BYTES
    assert [test["output"] is None for test in results].count(True) == 7


BASE, SOLVED = {"a": "failed", "b": "passed"}, {"a": "passed", "b": "passed"}


@pytest.mark.parametrize(
    ("base", "references", "names", "unstable", "problem"),
    [
        (BASE, [SOLVED] * 5, ["a", "b"], [], None),
        ({}, [SOLVED] * 5, ["a", "b"], [], None),
        (BASE, [SOLVED] * 4 + [{"a": "passed"}], ["a"], ["b"], None),
        (SOLVED, [SOLVED] * 5, ["a", "b"], [], "The repository passes all tests without a solution."),
        (BASE, [BASE] * 5, ["a", "b"], [], "The reference solution does not pass a."),
        (BASE, [{"a": "skipped"}] * 5, ["a"], [], "The reference solution does not pass a."),
        (
            BASE,
            [SOLVED, BASE, {}, SOLVED, SOLVED],
            [],
            ["a", "b"],
            "The runs on the reference solution reported no test whose outcome is stable.",
        ),
    ],
)
def test_a_task_is_ready_if_the_base_fails_and_the_reference_passes(
    base, references, names, unstable, problem
):
    assert evaluate_check(base, references) == (names, unstable, problem)
