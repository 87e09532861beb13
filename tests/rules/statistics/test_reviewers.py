"""Comparison of an assessment's reviewers."""

import pytest

from rules.statistics.reviewers import compare_reviewers

CRITERIA = [
    {"key": "quality", "levels": [{"value": 1}, {"value": 2}, {"value": 5}]},
    {"key": "tests", "levels": [{"value": 0}, {"value": 10}]},
]
# Scores of two sessions with the same criteria
FIRST = [("Ann", "quality", 5), ("Bob", "quality", 1), ("Carol", "quality", 3), ("Ann", "tests", 10)]
SECOND = [("Ann", "quality", 3), ("Bob", "quality", 3), ("Ann", "recommendation", 4)]


def test_reviewers_are_compared_on_shared_sessions():
    assert compare_reviewers([(CRITERIA, FIRST), (CRITERIA, SECOND)]) == {
        "Ann": {
            "score_count": 3,
            "mean": 0.833,
            "spread": 0.236,
            # 1 - (0 + 0.5) / 2, and 0.5 - 0.5. Nobody else scored `tests`.
            "criteria": [{"key": "quality", "compared_count": 2, "difference": 0.375}],
        },
        "Bob": {
            "score_count": 2,
            "mean": 0.25,
            "spread": 0.25,
            "criteria": [{"key": "quality", "compared_count": 2, "difference": -0.375}],
        },
        "Carol": {
            "score_count": 1,
            "mean": 0.5,
            "spread": None,
            "criteria": [{"key": "quality", "compared_count": 1, "difference": 0}],
        },
    }


@pytest.mark.parametrize("sessions", [[], [(CRITERIA, [])]])
def test_without_scores_there_are_no_reviewers(sessions):
    assert compare_reviewers(sessions) == {}
