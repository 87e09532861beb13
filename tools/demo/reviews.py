"""Reviews of a session: scores with comments and evidence, decisions with reasons."""

import random
from typing import Any, NamedTuple

from tools.demo.cast import Candidate
from tools.demo.tasks import read

_REVIEWS = read("reviews.yaml")
_CRITERIA: dict[str, dict[str, Any]] = _REVIEWS["criteria"]
REASONS: dict[str, list[str]] = _REVIEWS["reasons"]


class Score(NamedTuple):
    """A reviewer's score for one criterion."""

    criterion: str
    value: int
    comment: str


def comment(criterion: str, value: int) -> str:
    return _CRITERIA[criterion]["comments"][value - 1]


def scores(candidate: Candidate, rubric: dict[str, Any], reviewer: int) -> list[Score]:
    """Choose a reviewer's scores by the candidate's level and outcome.

    reviewer -- 0 or 1
    """
    scores, rng = [], random.Random(f"scores {candidate.number} {reviewer}")
    for position, criterion in enumerate(each["key"] for each in rubric["criteria"]):
        common = random.Random(f"scores {candidate.number} {criterion}").choice((0, 0, 1))
        value = candidate.level + (common + (rng.random() < 0.25)) % 2
        if candidate.outcome == "disagreed" and position in (0, 2):
            value = (1, 3)[reviewer] if position == 0 else (3, 1)[reviewer]
        scores.append(Score(criterion, value, comment(criterion, value)))
    return scores


def reason(candidate: Candidate, decision: str) -> str:
    return REASONS[decision][candidate.number % len(REASONS[decision])]


def evidence(events: list[dict[str, Any]], criterion: str, reviewer: int) -> list[str]:
    """Return the ids of up to two events with a kind that fits the criterion."""
    ids = [event["id"] for event in events if event["kind"] in _CRITERIA[criterion]["evidence"]]
    selected = ids[:1] if criterion == "understanding" else ids[-1:]
    return [*dict.fromkeys([*selected, *ids[reviewer : reviewer + 1]])]
