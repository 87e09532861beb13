"""A session in pieces that can be read one after the other: sittings, and within them what each prompt led to.

A sitting ends where nothing happens for half an hour. A turn goes from one prompt to the next; where two agents work at
once, their turns run into each other. What happens before the first prompt is in no turn.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from rules.records import CHANGES
from rules.rounding import half_up
from rules.steps import Step

LONGEST_BREAK_MINUTES = 30
_LONGEST_BREAK = LONGEST_BREAK_MINUTES * 60 * 10**9


class Stretch(NamedTuple):
    """Some steps one after the other; `began` and `ended` are nanoseconds, `event_id` is the first one's."""

    event_id: str
    began: int
    ended: int
    duration_ms: int
    events: int
    prompts: int
    changes: int
    commands: int
    failed_commands: int
    first_prompt: str | None


def is_break(nanoseconds: int) -> bool:
    return nanoseconds > _LONGEST_BREAK


def sittings(steps: Sequence[Step]) -> list[Stretch]:
    """The sittings of a session's steps, which are in order and without doubles."""
    pairs = enumerate(pairwise(steps), start=1)
    starts = [place for place, (before, step) in pairs if is_break(step.time - before.time)]
    return _cut(steps, [0, *starts]) if steps else []


def turns(steps: Sequence[Step]) -> list[Stretch]:
    """What each prompt led to, likewise."""
    return _cut(steps, [place for place, step in enumerate(steps) if step.kind == "prompt"])


def _cut(steps: Sequence[Step], starts: list[int]) -> list[Stretch]:
    return [_stretch(steps[start:end]) for start, end in pairwise([*starts, len(steps)])]


def _stretch(steps: Sequence[Step]) -> Stretch:
    kinds = [step.kind for step in steps]
    return Stretch(
        event_id=steps[0].id,
        began=steps[0].time,
        ended=steps[-1].time,
        duration_ms=half_up(Fraction(steps[-1].time - steps[0].time, 10**6)),
        events=len(steps),
        prompts=kinds.count("prompt"),
        changes=sum(kind in CHANGES for kind in kinds),
        commands=kinds.count("command"),
        failed_commands=sum(step.kind == "command" and bool(step.record.failed) for step in steps),
        first_prompt=next((step.subject for step in steps if step.kind == "prompt"), None),
    )
