"""The shipped problems: hidden tests fail on the repository and on wrong solutions, and pass on the reference."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from hidden_tests import NAMES, PROBLEMS, copy, outcomes, run

from schemas.issues import CatalogEntry
from schemas.rubrics import NewRubric

WRONG_SOLUTIONS = Path(__file__).parent / "wrong_solutions"
# The tests that pass on the repository, where nothing is done yet.
PASSED_BY_BASE = {
    "group-bookings": {
        "Cancellations::a confirmed booking is replaced by the first on the waiting list",
    },
    "price-lists": {
        "test::changes: only a new price adds to the history",
        "test::large changes: exactly half is accepted",
    },
}
FAILED_BY = {
    "group-bookings/strict_order": {
        "WaitingList::a group that does not fit is passed over and keeps its place",
    },
    "group-bookings/freed_seats_only": {
        "Cancellations::a waiting booking frees no seat",
        "ChangesOfSize::a waiting group is confirmed when it becomes small enough",
        "ExistingDatabases::an overbooked workshop promotes nobody until a seat is free",
        "WaitingList::freed seats and free seats count together",
    },
    "group-bookings/new_databases_only": {
        "ExistingDatabases::an overbooked workshop promotes nobody until a seat is free",
        "ExistingDatabases::existing bookings have one seat and serve the waiting list",
    },
    "group-bookings/unchecked_resize": {
        "ChangesOfSize::a confirmed group grows only into free seats",
        "ChangesOfSize::invalid changes are rejected",
    },
    "price-lists/prices_as_floats": {
        "test::prices: everything else is invalid",
    },
    "price-lists/rows_instead_of_lines": {
        "test::invalid lists: lines are counted as in the file",
    },
    "price-lists/first_error_only": {
        "test::prices: everything else is invalid",
        "test::invalid lists: every invalid row is reported, in order",
        "test::invalid lists: lines are counted as in the file",
        "test::invalid lists: a row has as many fields as the header",
        "test::invalid lists: a SKU is in a list once",
    },
    "price-lists/every_supplier_discontinued": {
        "test::complete lists: only the supplier's missing products are discontinued",
    },
}


def failed(problem, folder, report):
    results = outcomes(problem, folder, report)
    assert 12 <= len(results) <= 20
    return {name for name, passed in results.items() if not passed}


@pytest.mark.parametrize("problem", NAMES)
def test_a_problem_has_valid_fields(problem):
    fields = yaml.safe_load((PROBLEMS / problem / "problem.yaml").read_text())
    rubric, minutes = fields.pop("rubric"), fields.pop("timeLimitMinutes")
    assert CatalogEntry().validate(fields) == {}
    assert NewRubric().validate(rubric) == {}
    assert 60 <= minutes <= 90


def test_each_problem_has_four_wrong_solutions():
    names = [f"{path.parent.name}/{path.stem}" for path in WRONG_SOLUTIONS.glob("*/*.patch")]
    assert sorted(names) == sorted(FAILED_BY)
    assert Counter(name.split("/")[0] for name in names) == dict.fromkeys(NAMES, 4)


@pytest.mark.slow
@pytest.mark.parametrize("problem", NAMES)
@pytest.mark.parametrize("parts", [["repository"], ["repository", "reference"]], ids=["base", "reference"])
def test_the_visible_tests_pass_as_the_setup_instructions_say(problem, parts, tmp_path):
    copy(problem, tmp_path, *parts)
    fields = yaml.safe_load((PROBLEMS / problem / "problem.yaml").read_text())
    assert f"    {fields['testCommand']}\n" in fields["setupInstructions"]
    result = run(fields["testCommand"], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("problem", NAMES)
def test_the_repository_fails_and_the_reference_passes_five_times(problem, tmp_path):
    work, report = tmp_path / "work", tmp_path / "junit.xml"
    copy(problem, work, "repository")
    results = outcomes(problem, work, report)
    assert {name for name, passed in results.items() if passed} == PASSED_BY_BASE[problem]
    copy(problem, work, "reference")
    for _ in range(5):
        assert outcomes(problem, work, report) == dict.fromkeys(results, True)


@pytest.mark.slow
@pytest.mark.parametrize("solution", FAILED_BY)
def test_a_wrong_solution_fails_the_tests_that_it_should(solution, tmp_path):
    problem, _ = solution.split("/")
    work, report = tmp_path / "work", tmp_path / "junit.xml"
    copy(problem, work, "repository", "reference")
    result = run(f"git apply {WRONG_SOLUTIONS / solution}.patch", work)
    assert result.returncode == 0, result.stderr
    assert failed(problem, work, report) == FAILED_BY[solution]
