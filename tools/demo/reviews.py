"""Reviews of a session: rubrics, scores with comments and evidence, decisions with reasons."""

import random
from typing import Any, NamedTuple

from tools.demo.cast import Candidate
from tools.demo.tasks import read

_TEXTS = read("reviews.yaml")
_CRITERIA: dict[str, dict[str, Any]] = {each["key"]: each for each in _TEXTS["criteria"]}
REASONS: dict[str, list[str]] = _TEXTS["reasons"]


class Score(NamedTuple):
    """A reviewer's score for one criterion."""

    criterion: str
    value: int
    comment: str


def rubrics() -> dict[str, dict[str, Any]]:
    """Build the rubrics' request bodies, by key."""
    return {
        key: {
            "name": rubric["name"],
            "criteria": [_criterion(_CRITERIA[name]) for name in rubric["criteria"]],
        }
        for key, rubric in _TEXTS["rubrics"].items()
    }


def _criterion(texts: dict[str, Any]) -> dict[str, Any]:
    levels = [
        {"value": value, "label": label, "description": text}
        for value, (label, text) in enumerate(zip(_TEXTS["labels"], texts["levels"], strict=True), start=1)
    ]
    return {name: texts[name] for name in ("key", "title", "weight", "description")} | {"levels": levels}


def comment(criterion: str, value: int) -> str:
    return _CRITERIA[criterion]["comments"][value - 1]


def scores(candidate: Candidate, rubric: str, reviewer: int) -> list[Score]:
    """Choose a reviewer's scores by the candidate's level and fate.

    reviewer -- 0 or 1
    """
    chosen, rng = [], random.Random(f"scores {candidate.number} {reviewer}")
    for position, criterion in enumerate(_TEXTS["rubrics"][rubric]["criteria"]):
        common = random.Random(f"scores {candidate.number} {criterion}").choice((0, 0, 1))
        value = candidate.level + common + (rng.random() < 0.25) * (1 if candidate.level < 3 else -1)
        if candidate.fate == "disagreed" and position in (0, 2):
            value = (1, 3)[reviewer] if position == 0 else (4, 2)[reviewer]
        value = min(max(value, 1), 4)
        chosen.append(Score(criterion, value, comment(criterion, value)))
    return chosen


def reason(candidate: Candidate, decision: str) -> str:
    return REASONS[decision][candidate.number % len(REASONS[decision])]


def evidence(events: list[dict[str, Any]], criterion: str, reviewer: int) -> list[str]:
    """Choose up to two events of the criterion's kinds, and return their ids."""
    ids = [event["id"] for event in events if event["kind"] in _CRITERIA[criterion]["evidence"]]
    chosen = ids[:1] if criterion == "understanding" else ids[-1:]
    return [*dict.fromkeys([*chosen, *ids[reviewer : reviewer + 1]])]
