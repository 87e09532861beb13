"""The time of a session by phase (docs/metrics.md#analytics-of-a-session).

Events are reported when they end, so the time before an event belongs to the event's phase.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rules.events.envelopes import CHANGE_KINDS
from rules.metrics.analyzed_events import AnalyzedEvent
from rules.metrics.segments import is_break
from rules.statistics.rounding import NS_PER_MS, milliseconds, ratio

# Longer pauses are capped: thinking cannot be distinguished from absence.
MAX_PAUSE_MS = 5 * 60 * 1000

_KINDS = {
    "prompting": ("prompt", "plan_decision", "decision_event", "interrupt"),
    "reading": ("file_read", "file_search", "dir_list", "web_lookup", "planning_read", "editor_focus"),
    "changing": (*CHANGE_KINDS, "editor_edit"),
    "verifying": ("test_run", "build_run"),
    "other": ("tool_use", "mcp_call", "tool_call", "task_dispatch", "subagent_stop"),
}
PHASES = tuple(_KINDS)
_PHASE_BY_KIND = {kind: phase for phase, kinds in _KINDS.items() for kind in kinds}


class Phase(NamedTuple):
    """One phase; `pauses` is the number of pauses truncated to MAX_PAUSE_MS."""

    name: str
    events: int
    time_ms: int
    share: float | None
    pauses: int


class Span(NamedTuple):
    """Time of one phase, from one event to another."""

    name: str
    start_ns: int
    end_ns: int


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
        counted = 0 if is_break(gap) else min(gap, MAX_PAUSE_MS * NS_PER_MS)
        phase = _phase(event)
        pauses[phase or "other"] += 0 < counted < gap
        if phase is None:
            carried += counted
        else:
            # A prompt follows no action.
            time["other" if phase == "prompting" else phase] += carried
            time[phase] += counted
            carried = 0
    time["other"] += carried
    counts = Counter(map(_phase, events))
    active = time.total()
    elapsed = events[-1].time_ns - events[0].time_ns if events else 0
    phases = [
        Phase(name, counts[name], milliseconds(time[name]), ratio(time[name], active), pauses[name])
        for name in PHASES
    ]
    return PhaseTimes(milliseconds(elapsed), milliseconds(active), milliseconds(elapsed - active), phases)


def phase_spans(events: Sequence[AnalyzedEvent]) -> list[Span]:
    """The spans of the phases, by the rules of `measure_phases`: without breaks, with all other pauses."""
    spans: list[Span] = []
    carried: list[tuple[int, int]] = []
    for before, event in pairwise(events):
        gap = (before.time_ns, event.time_ns)
        counted = [] if is_break(event.time_ns - before.time_ns) else [gap]
        phase = _phase(event)
        if phase is None:
            carried += counted
            continue
        _extend(spans, "other" if phase == "prompting" else phase, carried)
        _extend(spans, phase, counted)
        carried = []
    _extend(spans, "other", carried)
    return spans


def _extend(spans: list[Span], name: str, gaps: list[tuple[int, int]]) -> None:
    """Add times to the last span if they continue it, else as another span."""
    for start, end in gaps:
        if start == end:
            continue
        if spans and (spans[-1].name, spans[-1].end_ns) == (name, start):
            start = spans.pop().start_ns
        spans.append(Span(name, start, end))


def _phase(event: AnalyzedEvent) -> str | None:
    """The phase of an event; None if its time is carried to the next action."""
    if event.kind != "command":
        return _PHASE_BY_KIND.get(event.kind)
    if event.command_kind:
        return "verifying"
    return "reading" if event.is_read_only else "other"
