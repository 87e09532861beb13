"""A whole session, read once: times by phase, sittings and turns, tools, models with their cost, and error episodes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rules import metrics, phases, usage
from rules.episodes import Episode, episodes
from rules.steps import Step, in_order, step_of, without_doubles
from rules.stretches import Stretch, sittings, turns


class Analysis(NamedTuple):
    """What a reviewer wants to know of a session beside its metrics."""

    times: phases.Times
    sittings: list[Stretch]
    turns: list[Stretch]
    tools: dict[str, int]
    models: list[usage.ModelUse]
    total_cost_nano_usd: int | None
    episodes: list[Episode]


def analyse(
    timeline: Iterable[tuple[int, dict[str, Any]]], prices: Sequence[Mapping[str, Any]] | None
) -> Analysis:
    """The analysis of (nanoseconds, envelope) pairs in any order, without late events (R18)."""
    noted: list[Step] = []
    found = metrics.derive(_noting(timeline, noted), prices=prices)
    everything = in_order(noted)
    steps = without_doubles(everything)
    reports = [step.record.usage for step in everything if step.record.usage]
    return Analysis(
        times=phases.times(steps),
        sittings=sittings(steps),
        turns=turns(steps),
        tools=found.tool_usage,
        models=usage.by_model(reports, prices),
        total_cost_nano_usd=found.total_cost_nano_usd,
        episodes=episodes(steps),
    )


def _noting(timeline: Iterable[tuple[int, Any]], noted: list[Step]) -> Iterator[tuple[int, Any]]:
    """The timeline as it is, noted on its way: contents are too large to be read twice, or kept."""
    for time, envelope in timeline:
        noted.append(step_of(time, envelope))
        yield time, envelope
