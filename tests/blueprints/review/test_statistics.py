"""Statistics of an assessment's reviewers."""

import pytest
from callers import Caller
from factories import make_assessment, make_closed_session, make_person, make_rubric
from response_checks import body_of

LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3)]
CRITERIA = [{"key": key, "title": key.title(), "weight": 1, "levels": LEVELS} for key in ("quality", "tests")]


@pytest.fixture
def rubric(organization):
    return make_rubric(organization, criteria=CRITERIA)


@pytest.fixture
def assessment(organization, rubric):
    return make_assessment(organization, rubric_id=rubric.id)


@pytest.fixture
def people(app, organization):
    return [Caller.person(app, make_person(organization, name=name)) for name in ("Ann", "Bob")]


def put_scores(caller, session, **values):
    for criterion, value in values.items():
        body_of(caller.put(f"/v1/sessions/{session.id}/scores/{criterion}", {"value": value}))


def compare(caller, assessment):
    rows = body_of(caller.get(f"/v1/assessments/{assessment.id}/reviewers"))["reviewers"]
    return {row.pop("reviewer")["name"]: row for row in rows}


def test_reviewers_are_compared_by_current_scores(reviewer, people, assessment, rubric):
    ann, bob = people
    session = make_closed_session(assessment)
    put_scores(ann, session, quality=1, tests=3)
    put_scores(ann, session, quality=3)  # revised
    put_scores(bob, session, quality=2, tests=3)
    put_scores(bob, make_closed_session(assessment), quality=1)
    assert compare(reviewer, assessment) == {
        "Ann": {
            "scoreCount": 2,
            "mean": 1,
            "spread": 0,
            "criteria": [
                {"key": "quality", "title": "Quality", "comparedCount": 1, "difference": 0.5},
                {"key": "tests", "title": "Tests", "comparedCount": 1, "difference": 0},
            ],
        },
        "Bob": {
            "scoreCount": 3,
            "mean": 0.5,
            "spread": 0.408,
            "criteria": [
                {"key": "quality", "title": "Quality", "comparedCount": 1, "difference": -0.5},
                {"key": "tests", "title": "Tests", "comparedCount": 1, "difference": 0},
            ],
        },
    }
    # Scores of an earlier version no longer count once the session is scored in the new one.
    rubric.apply_changes({"name": "Senior engineers"})
    put_scores(bob, session, quality=1)
    assert compare(reviewer, assessment).keys() == {"Bob"}


def test_hidden_scores_are_left_out(people, assessment):
    ann, bob = people
    first, second = make_closed_session(assessment), make_closed_session(assessment)
    put_scores(ann, first, quality=3, tests=3)
    put_scores(ann, second, quality=1, tests=1)
    assert compare(bob, assessment) == {}
    put_scores(bob, first, quality=3, tests=3)
    assert compare(bob, assessment)["Ann"]["mean"] == 1
