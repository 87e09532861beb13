"""Reviews of a session: rubrics, scores with comments and evidence, decisions with reasons."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.demo.cast import Candidate


def _criterion(key: str, title: str, weight: int, description: str, *levels: str) -> dict[str, Any]:
    labels = ("Weak", "Fair", "Good", "Excellent")
    listed = [
        {"value": value, "label": label, "description": text}
        for value, (label, text) in enumerate(zip(labels, levels, strict=True), start=1)
    ]
    return {"key": key, "title": title, "weight": weight, "description": description, "levels": listed}


UNDERSTANDING = _criterion(
    "understanding", "Finding the cause", 2, "From the symptom to the cause, before the first change.",
    "Changes code until the symptom is gone.", "Finds the place, not the reason.",
    "Names the cause before changing anything.", "Proves the cause with a failing test or a measurement.",
)  # fmt: skip
CORRECTNESS = _criterion(
    "correctness", "Correct and complete", 3, "The final diff, existing data and edge cases included.",
    "The fault is still there.", "Fixed, with a new fault or without existing data.",
    "Fixed and complete.", "Complete, with the edge cases that a colleague would ask about.",
)  # fmt: skip
VERIFICATION = _criterion(
    "verification", "Verification", 2, "Tests, and how far the agent's claims are checked.",
    "Believes the agent.", "Runs the existing tests.", "Adds a test that fails without the change.",
    "Tests first, and checks each claim of the agent.",
)  # fmt: skip
COLLABORATION = _criterion(
    "collaboration", "Working with the agent", 1, "Who decides: prompts, corrections, explained decisions.",
    "Accepts everything.", "Corrects what fails.", "Gives precise tasks and rejects wrong answers.",
    "Leads: plans, limits and reviews the agent's work.",
)  # fmt: skip
RUBRICS = {
    "backend": ("Backend engineers", [UNDERSTANDING, CORRECTNESS, VERIFICATION, COLLABORATION]),
    "student": ("Working students", [UNDERSTANDING, CORRECTNESS, VERIFICATION]),
}
# By criterion and value.
COMMENTS = {
    "understanding": (
        "Asked for a fix in the first prompt and never said what was wrong.",
        "Found the function quickly, but not why it fails.",
        "Read the code first and described the cause in one sentence.",
        "Proved the cause before the first change. The prompts show a clear hypothesis.",
    ),
    "correctness": (
        "The last test run fails and the fault is still there.",
        "The fault is fixed. Existing data would break the deployment.",
        "Complete and small. I would merge this after one question.",
        "Complete, including existing data, and explained. Nothing to add.",
    ),
    "verification": (
        "One test run at the very end, and it was red.",
        "Ran the existing tests only; none of them covers the fault.",
        "Added a test that fails without the change.",
        "Wrote the failing test first and ran it after each change of the agent.",
    ),
    "collaboration": (
        "Took each answer as it came.",
        "Corrected the agent when tests failed, not before.",
        "Precise prompts, and rejected a wrong approach with a reason.",
        "Planned the steps, limited each of them, and reviewed every diff.",
    ),
}
EVIDENCE_KINDS = {
    "understanding": "prompt,file_search,file_read",
    "correctness": "file_diff,file_create",
    "verification": "command",
    "collaboration": "prompt,decision_event,planning",
}
REASONS = {
    "advanced": (
        "Careful, well tested fix. Invite to the second interview.",
        "Found the cause quickly and explained the trade-off. Ask about migrations in the interview.",
        "Works with the agent like with a colleague: short tasks, and nothing accepted unread.",
        "Strong tests. Talk about the size of changes.",
    ),
    "rejected": (
        "The fault is still there, and the last test run is red.",
        "Fixed the symptom only; a second process would still create duplicates.",
        "Could not say why the change works. Two reviewers agree.",
        "No test, and the agent's claims were not checked.",
        "Correct in the end, but the agent made all decisions. Not for this role; keep in touch.",
    ),
    "hired": ("Best record of this round, and convincing in both interviews. Offer accepted.",),
}


class Given(NamedTuple):
    """A reviewer's score of one criterion."""

    criterion: str
    value: int
    comment: str


def scores(candidate: Candidate, rubric: str, reviewer: int) -> list[Given]:
    """The scores of the first or the second reviewer (0 or 1), by the candidate's level and fate."""
    given, rng = [], random.Random(f"scores {candidate.number} {reviewer}")
    for position, criterion in enumerate(RUBRICS[rubric][1]):
        common = random.Random(f"scores {candidate.number} {criterion['key']}").choice((0, 0, 1))
        value = candidate.level + common + (rng.random() < 0.25) * (1 if candidate.level < 3 else -1)
        if candidate.fate == "disagreed" and position in (0, 2):
            value = (1, 3)[reviewer] if position == 0 else (4, 2)[reviewer]
        value = min(max(value, 1), 4)
        given.append(Given(criterion["key"], value, COMMENTS[criterion["key"]][value - 1]))
    return given


def reason(candidate: Candidate, decision: str) -> str:
    return REASONS[decision][candidate.number % len(REASONS[decision])]


def evidence(events: list[dict[str, Any]], criterion: str, reviewer: int) -> Iterator[str]:
    """The ids of up to two events of the kinds that the criterion is about: early ones, or the last."""
    kinds = EVIDENCE_KINDS[criterion].split(",")
    fitting = [event["id"] for event in events if event["kind"] in kinds]
    chosen = fitting[:1] if criterion == "understanding" else fitting[-1:]
    yield from dict.fromkeys([*chosen, *fitting[reviewer : reviewer + 1]])
