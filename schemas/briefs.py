"""A task in structured form, displayed by the candidate's client (client contract, 3.5).

The fields set `attribute` because briefs are stored in camelCase, for clients.
"""

from typing import Any

from schemas.base import Body
from schemas.fields import ListOf, Nested, Text

MAX_ENTRIES = 100


def _paragraphs(description: str, example: str, **options: Any) -> ListOf:
    return ListOf(Text(5000), description, max=MAX_ENTRIES, example=[example], **options)


class Codebase(Body):
    """The code to work on."""

    name = Text(255, "Name.", example="orders")
    description = Text(5000, "Purpose.", example="Receives orders and forwards them.")
    run_command = Text(1000, "Command that starts the code.", attribute="runCommand", example="make run")
    test_command = Text(1000, "Command that runs the tests.", attribute="testCommand", example="make test")
    stack = ListOf(Text(255), "Languages and systems in use.", max=MAX_ENTRIES, example=["Go", "PostgreSQL"])


class BriefPhase(Body):
    """One step of the work."""

    name = Text(255, "Name.", example="Find the cause")
    goal = Text(5000, "Goal of the step.", example="You know why orders are lost.")
    tasks = _paragraphs("Tasks.", "Write a test that loses an order.")
    guidance = _paragraphs("Hints.", "Compare the code before and after the write.")


class StructuredBrief(Body):
    """The task in structured form."""

    scenario = Text(10_000, "Scenario.", example="Customers report that orders disappear on busy days.")
    codebase = Nested(Codebase, "The code to work on.")
    phases = ListOf(BriefPhase, "Steps of the work.", max=MAX_ENTRIES)
    evaluation = _paragraphs("Evaluation criteria.", "How you found the cause.")
    ground_rules = _paragraphs("Ground rules.", "AI tools are allowed.", attribute="groundRules")
    deliverables = _paragraphs("Deliverables.", "A fix with a test.")
