"""Measure a session's time by phase (docs/metrics.md#analytics-of-a-session).

Events are reported when they end, so the time before an event is attributed to the event's phase.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
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
    """Time spent in a phase. `pauses` is the number of pauses capped at MAX_PAUSE_MS."""

    name: str
    events: int
    time_ms: int
    share: float | None
    pauses: int


class Span(NamedTuple):
    """A continuous period in one phase."""

    name: str
    start_ns: int
    end_ns: int


class PhaseTimes(NamedTuple):
    """Times of all phases. `elapsed_ms` is the sum of `active_ms` (all phases) and `idle_ms`."""

    elapsed_ms: int
    active_ms: int
    idle_ms: int
    phases: list[Phase]


def measure_phases(events: Sequence[AnalyzedEvent]) -> PhaseTimes:
    """Measure the phases of a session. Events must be in order, without duplicates."""
    time: Counter[str] = Counter()
    pauses: Counter[str] = Counter()
    for event_phase, phase, start, end in _gaps(events):
        counted = min(end - start, MAX_PAUSE_MS * NS_PER_MS)
        time[phase] += counted
        pauses[event_phase] += counted < end - start
    counts = Counter(map(_phase, events))
    active = time.total()
    elapsed = events[-1].time_ns - events[0].time_ns if events else 0
    phases = [
        Phase(name, counts[name], milliseconds(time[name]), ratio(time[name], active), pauses[name])
        for name in PHASES
    ]
    return PhaseTimes(milliseconds(elapsed), milliseconds(active), milliseconds(elapsed - active), phases)


def phase_spans(events: Sequence[AnalyzedEvent]) -> list[Span]:
    """Return the phases' periods. These include pauses of any length, but not breaks."""
    spans: list[Span] = []
    for _, phase, start, end in _gaps(events):
        if start == end:
            continue
        if spans and (spans[-1].name, spans[-1].end_ns) == (phase, start):
            start = spans.pop().start_ns
        spans.append(Span(phase, start, end))
    return spans


def _gaps(events: Sequence[AnalyzedEvent]) -> Iterator[tuple[str, str, int, int]]:
    """Yield the gaps between events, without breaks, as (event's phase, gap's phase, start, end).

    The gap before an event without a phase is carried over to the next action. Prompts are not actions.
    """
    carried: list[tuple[int, int]] = []
    for before, event in pairwise(events):
        gap, phase = (before.time_ns, event.time_ns), _phase(event)
        if phase is not None:
            yield from (("other", "other" if phase == "prompting" else phase, *span) for span in carried)
            carried = []
        if is_break(event.time_ns - before.time_ns):
            continue
        if phase is None:
            carried.append(gap)
        else:
            yield phase, phase, *gap
    yield from (("other", "other", *span) for span in carried)


def _phase(event: AnalyzedEvent) -> str | None:
    """Return an event's phase; None if its time is carried over to the next action."""
    if event.kind != "command":
        return _PHASE_BY_KIND.get(event.kind)
    if event.command_kind:
        return "verifying"
    return "reading" if event.is_read_only else "other"
