"""Analyze a session: phases, work periods, turns, tools, models, error episodes."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rules.metrics.analyzed_events import drop_editor_duplicates, read_events
from rules.metrics.derivation import tool_usage
from rules.metrics.error_episodes import ErrorEpisode, find_error_episodes
from rules.metrics.phases import PhaseTimes, Span, measure_phases, phase_spans
from rules.metrics.segments import Segment, split_turns, split_work_periods
from rules.metrics.usage import ModelUsage, PriceTable, total_usage, usage_by_model

VERIFICATION_EVENTS = {"test_run": "test", "build_run": "build"}


class Verification(NamedTuple):
    """A command or run that verified the work. `passed` is None if the result is unknown, or no test ran."""

    event_id: str
    time_ns: int
    kind: str
    passed: bool | None


class Analysis(NamedTuple):
    times: PhaseTimes
    phase_spans: list[Span]
    verifications: list[Verification]
    work_periods: list[Segment]
    turns: list[Segment]
    tools: dict[str, int]
    models: list[ModelUsage]
    total_cost_nano_usd: int | None
    error_episodes: list[ErrorEpisode]


def analyze(timeline: Iterable[tuple[int, dict[str, Any]]], prices: PriceTable) -> Analysis:
    """Analyze a session without its late events (R18).

    timeline -- as in `read_events`
    """
    all_events = read_events(timeline, details=True)
    reports = [event.usage for event in all_events if event.usage]
    events = drop_editor_duplicates(all_events)
    return Analysis(
        times=measure_phases(events),
        phase_spans=phase_spans(events),
        verifications=[
            Verification(event.id, event.time_ns, kind, event.passed or (False if event.failed else None))
            for event in events
            if (kind := event.command_kind or VERIFICATION_EVENTS.get(event.kind))
        ],
        work_periods=split_work_periods(events),
        turns=split_turns(events),
        tools=tool_usage(all_events),
        models=usage_by_model(reports, prices),
        total_cost_nano_usd=total_usage(reports, prices)[1],
        error_episodes=find_error_episodes(events),
    )
