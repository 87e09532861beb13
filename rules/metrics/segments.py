"""Split a session into work periods and turns (docs/metrics.md#analytics-of-a-session)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rules.events.envelopes import CHANGE_KINDS
from rules.metrics.analyzed_events import AnalyzedEvent
from rules.statistics.rounding import milliseconds

MAX_GAP_MINUTES = 30  # within a work period


class Segment(NamedTuple):
    """Consecutive events. `event_id` is the id of the first event."""

    event_id: str
    start_ns: int
    end_ns: int
    duration_ms: int
    events: int
    prompts: int
    changes: int
    commands: int
    failed_commands: int
    first_prompt: str | None


def is_break(gap_ns: int) -> bool:
    """Return whether the gap ends a work period."""
    return gap_ns > MAX_GAP_MINUTES * 60 * 10**9


def split_work_periods(events: Sequence[AnalyzedEvent]) -> list[Segment]:
    """Split a session into work periods. Events must be in order, without duplicates."""
    gaps = (event.time_ns - before.time_ns for before, event in pairwise(events))
    starts = [index for index, gap in enumerate(gaps, start=1) if is_break(gap)]
    return _split(events, [0, *starts]) if events else []


def split_turns(events: Sequence[AnalyzedEvent]) -> list[Segment]:
    """Split a session into turns. Events must be in order, without duplicates."""
    return _split(events, [index for index, event in enumerate(events) if event.kind == "prompt"])


def _split(events: Sequence[AnalyzedEvent], starts: list[int]) -> list[Segment]:
    return [_segment(events[start:end]) for start, end in pairwise([*starts, len(events)])]


def _segment(events: Sequence[AnalyzedEvent]) -> Segment:
    kinds = [event.kind for event in events]
    start_ns, end_ns = events[0].time_ns, events[-1].time_ns
    return Segment(
        event_id=events[0].id,
        start_ns=start_ns,
        end_ns=end_ns,
        duration_ms=milliseconds(end_ns - start_ns),
        events=len(events),
        prompts=kinds.count("prompt"),
        changes=sum(kind in CHANGE_KINDS for kind in kinds),
        commands=kinds.count("command"),
        failed_commands=sum(event.kind == "command" and event.failed is True for event in events),
        first_prompt=next((event.subject for event in events if event.kind == "prompt"), None),
    )
