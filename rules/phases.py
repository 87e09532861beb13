"""Where a session's time went: reading, prompting, changing, verifying, and what is none of them.

Events are reported when they are over, so the time before an event belongs to the event. Its kind says to which
phase:

- `prompting`: the person writes or decides: prompts, answers to plans, explained decisions, interrupts
- `reading`: files, folders, searches and the web are looked at, by the person or for them, with commands such as
  `cat` and `git log` too
- `changing`: files are created, edited or deleted
- `verifying`: tests, checks and builds run (metrics.md, "verification")
- `other`: all other commands and tools, sub-agents, and answers that no action follows

Announcements, answers and plans have no phase of their own, for they are the way to what comes next: their time is
carried on to the action that follows. Where a prompt follows, there was no action, and it is `other`; only the time
right before the prompt, in which the person read and wrote, is `prompting`.

Nobody can tell from a pause whether somebody thinks or is at lunch. So a pause counts up to five minutes, a break
between two sittings (rules/stretches.py) not at all, and the rest is `idle` and in no phase. An agent that waits to be
allowed something waits in the phase of what it asked for. Where two agents work at once, time goes to whichever event
comes next.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from rules.rounding import half_up, round_half_away
from rules.steps import Step
from rules.stretches import is_break

NAMES = ("prompting", "reading", "changing", "verifying", "other")
LONGEST_PAUSE_MS = 5 * 60 * 1000
_NANOSECONDS = 10**6
_LONGEST_PAUSE = LONGEST_PAUSE_MS * _NANOSECONDS

_PHASE_OF = {
    **dict.fromkeys(("prompt", "plan_decision", "decision_event", "interrupt"), "prompting"),
    **dict.fromkeys(
        ("file_read", "file_search", "dir_list", "web_lookup", "planning_read", "editor_focus"), "reading"
    ),
    **dict.fromkeys(("file_diff", "file_create", "file_delete", "editor_edit"), "changing"),
    **dict.fromkeys(("test_run", "build_run"), "verifying"),
    **dict.fromkeys(("tool_use", "mcp_call", "tool_call", "task_dispatch", "subagent_stop"), "other"),
}


class Phase(NamedTuple):
    """A phase's events and time, with its share of the time that counts; `pauses` were cut to five minutes."""

    name: str
    events: int
    time_ms: int
    share: float | None
    pauses: int


class Times(NamedTuple):
    """`elapsed_ms` from the first event to the last is `active_ms`, of which the phases have shares, and `idle_ms`."""

    elapsed_ms: int
    active_ms: int
    idle_ms: int
    phases: list[Phase]


def phase_of(step: Step) -> str | None:
    """The phase of an event; None for one that is only the way to the next."""
    if step.kind != "command":
        return _PHASE_OF.get(step.kind)
    if step.record.command_kind:
        return "verifying"
    return "reading" if step.only_looks else "other"


def times(steps: Sequence[Step]) -> Times:
    """The times of a session's steps, which are in order and without doubles."""
    spent: Counter[str] = Counter()
    pauses: Counter[str] = Counter()
    carried = 0
    for before, step in pairwise(steps):
        gap = step.time - before.time
        counted = 0 if is_break(gap) else min(gap, _LONGEST_PAUSE)
        phase = phase_of(step)
        if phase is not None:
            spent["other" if phase == "prompting" else phase] += carried
            carried = 0
            spent[phase] += counted
        else:
            carried += counted
        pauses[phase or "other"] += 0 < counted < gap
    spent["other"] += carried
    elapsed = steps[-1].time - steps[0].time if steps else 0
    return Times(
        elapsed_ms=_milliseconds(elapsed),
        active_ms=_milliseconds(spent.total()),
        idle_ms=_milliseconds(elapsed - spent.total()),
        phases=_phases(steps, spent, pauses),
    )


def _phases(steps: Sequence[Step], spent: Counter[str], pauses: Counter[str]) -> list[Phase]:
    events = Counter(phase_of(step) for step in steps)
    return [
        Phase(
            name, events[name], _milliseconds(spent[name]), _share(spent[name], spent.total()), pauses[name]
        )
        for name in NAMES
    ]


def _milliseconds(nanoseconds: int) -> int:
    return half_up(Fraction(nanoseconds, _NANOSECONDS))


def _share(part: int, whole: int) -> float | None:
    return float(round_half_away(Fraction(part, whole), 3)) if whole else None
