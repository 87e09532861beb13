"""The time of a session by phase.

Events are reported when they end, so the time before an event belongs to the event. Its kind gives the phase:

- `prompting`: prompts, answers to plans, explained decisions, interrupts
- `reading`: files, folders, searches, the web, and read-only commands such as `cat` and `git log`
- `changing`: files are created, edited or deleted
- `verifying`: tests, checks and builds (docs/metrics.md#terms, "verification")
- `other`: all other commands and tools, sub-agents, and responses without an action after them

Announcements, responses and plans have no phase: their time is carried to the next action. If a prompt comes
first, there was no action, and the carried time is `other`.

A pause counts for at most five minutes, since nobody can tell thinking from lunch; a break between two sittings
(rules/segments.py) does not count at all. The rest is idle time. Time with two agents at work goes to whichever
event comes next.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rules.analyzed_events import AnalyzedEvent
from rules.rounding import NS_PER_MS, milliseconds, ratio
from rules.segments import is_break

PHASES = ("prompting", "reading", "changing", "verifying", "other")
MAX_PAUSE_MS = 5 * 60 * 1000
_MAX_PAUSE_NS = MAX_PAUSE_MS * NS_PER_MS

_PHASE_BY_KIND = {
    **dict.fromkeys(("prompt", "plan_decision", "decision_event", "interrupt"), "prompting"),
    **dict.fromkeys(
        ("file_read", "file_search", "dir_list", "web_lookup", "planning_read", "editor_focus"), "reading"
    ),
    **dict.fromkeys(("file_diff", "file_create", "file_delete", "editor_edit"), "changing"),
    **dict.fromkeys(("test_run", "build_run"), "verifying"),
    **dict.fromkeys(("tool_use", "mcp_call", "tool_call", "task_dispatch", "subagent_stop"), "other"),
}


class Phase(NamedTuple):
    """One phase; `pauses` counts those that were truncated to MAX_PAUSE_MS."""

    name: str
    events: int
    time_ms: int
    share: float | None
    pauses: int


class PhaseTimes(NamedTuple):
    """`elapsed_ms` is the sum of `active_ms`, the time of all phases, and `idle_ms`."""

    elapsed_ms: int
    active_ms: int
    idle_ms: int
    phases: list[Phase]


def measure_phases(events: Sequence[AnalyzedEvent]) -> PhaseTimes:
    """The phases of a session's events in order, without duplicates."""
    time: Counter[str] = Counter()
    pauses: Counter[str] = Counter()
    carried = 0
    for before, event in pairwise(events):
        gap = event.time_ns - before.time_ns
        counted = 0 if is_break(gap) else min(gap, _MAX_PAUSE_NS)
        phase = _phase(event)
        pauses[phase or "other"] += 0 < counted < gap
        if phase is None:
            carried += counted
        else:
            time["other" if phase == "prompting" else phase] += carried
            time[phase] += counted
            carried = 0
    time["other"] += carried
    counts = Counter(map(_phase, events))
    active = time.total()
    elapsed = events[-1].time_ns - events[0].time_ns if events else 0
    return PhaseTimes(
        milliseconds(elapsed),
        milliseconds(active),
        milliseconds(elapsed - active),
        [
            Phase(name, counts[name], milliseconds(time[name]), ratio(time[name], active), pauses[name])
            for name in PHASES
        ],
    )


def _phase(event: AnalyzedEvent) -> str | None:
    """The phase of an event; None if its time is carried to the next action."""
    if event.kind != "command":
        return _PHASE_BY_KIND.get(event.kind)
    if event.command_kind:
        return "verifying"
    return "reading" if event.is_read_only else "other"
