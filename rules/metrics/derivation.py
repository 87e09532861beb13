"""Derive a session's metrics from its events (docs/metrics.md, R19).

The values are exact: milliseconds, billionths, counts. Only `to_response` rounds them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.events.envelopes import CHANGE_KINDS
from rules.metrics.analyzed_events import (
    HUMAN_ATTRIBUTIONS,
    AnalyzedEvent,
    drop_editor_duplicates,
    read_events,
)
from rules.metrics.error_episodes import find_error_episodes
from rules.metrics.frequent_names import reported_names
from rules.metrics.usage import PriceTable, total_usage
from rules.statistics.rounding import BILLION, half_up_ratio, milliseconds, ratio

VERSION = 2  # Increase this when a change to the definitions changes the metrics of existing sessions.


@dataclass(frozen=True)
class Metrics:
    """A session's metrics: milliseconds, counts, and ratios in billionths."""

    version: int
    event_count: int
    duration_ms: int | None
    prompt_count: int
    command_fail_rate: int | None
    verify_intensity: int
    manual_edit_ratio: int
    first_change_latency_ms: int | None
    tests_passed: bool | None
    command_count: int
    file_change_count: int
    unique_files_touched: int
    test_run_count: int
    decision_count: int
    error_episodes: int
    known_exit_code_count: int
    attributed_change_count: int
    tool_usage: dict[str, int]
    tokens: dict[str, dict[str, int]]
    total_cost_nano_usd: int | None
    ai_attribution_permille: int | None


def derive(
    timeline: Iterable[tuple[int, dict[str, Any]]],
    test_result: tuple[int, int] | None = None,
    prices: PriceTable | None = None,
) -> Metrics:
    """Derive the metrics from a timeline without late events (R18).

    timeline -- as in `read_events`
    test_result -- counts of (passed, failed) tests, submitted by a reviewer or an integration
    """
    events = read_events(timeline, details=False)
    kinds = Counter(event.kind for event in events)
    unique_events = drop_editor_duplicates(events)
    commands = [event for event in unique_events if event.kind == "command"]
    changes = [event for event in unique_events if event.kind in CHANGE_KINDS]
    attributions = [change.attribution for change in changes if change.attribution]
    outcomes = [command.failed for command in commands if command.failed is not None]
    has_exit_codes = 2 * len(outcomes) >= len(commands) or not commands[0].is_recorded  # R52
    command_kinds = Counter(command.command_kind for command in commands if command.command_kind)
    verifications = command_kinds.total() + kinds["test_run"] + kinds["build_run"]
    tokens, cost = total_usage((event.usage for event in events if event.usage), prices or {})
    return Metrics(
        version=VERSION,
        event_count=len(events),
        duration_ms=_elapsed(events[0], events[-1]) if len(events) > 1 else None,
        prompt_count=kinds["prompt"],
        command_fail_rate=_share(outcomes) if has_exit_codes else None,
        verify_intensity=_scaled_ratio(verifications, len(changes), BILLION) or 0,
        manual_edit_ratio=_share([attribution in HUMAN_ATTRIBUTIONS for attribution in attributions]),
        first_change_latency_ms=_elapsed(events[0], changes[0]) if changes else None,
        tests_passed=_tests_passed(test_result, unique_events, has_exit_codes),
        command_count=len(commands),
        file_change_count=len(changes),
        unique_files_touched=len({change.path_digest for change in changes} - {None}),
        test_run_count=kinds["test_run"] + command_kinds["test"],
        decision_count=kinds["decision_event"],
        error_episodes=len(find_error_episodes(unique_events)),
        known_exit_code_count=len(outcomes),
        attributed_change_count=len(attributions),
        tool_usage=tool_usage(events),
        tokens=tokens,
        total_cost_nano_usd=cost,
        ai_attribution_permille=_scaled_ratio(attributions.count("likely_ai"), len(attributions), 1000),
    )


def tool_usage(events: Iterable[AnalyzedEvent]) -> dict[str, int]:
    """Count calls by tool: `tool_intent` events or, if a source sends none, `tool_use` and `mcp_call` events."""
    calls = [event for event in events if event.kind in ("tool_intent", "tool_use", "mcp_call")]
    sources_with_intents = {call.tool_source for call in calls if call.kind == "tool_intent"}
    counts = Counter(
        call.tool
        for call in calls
        if call.tool is not None
        and (call.kind == "tool_intent" or call.tool_source not in sources_with_intents)
    )
    names = reported_names(counts)
    usage: Counter[str] = Counter()
    for tool, count in counts.items():
        usage[names[tool]] += count
    return dict(sorted(usage.items()))


def to_response(values: Mapping[str, Any]) -> dict[str, Any]:
    """Build the `metrics` field of a response, with ratios rounded to 3 decimals, costs in USD, and percentages.

    values -- values by the field names of `Metrics`
    """
    cost, ai_permille = values["total_cost_nano_usd"], values["ai_attribution_permille"]
    return {
        "durationMs": values["duration_ms"],
        "promptCount": values["prompt_count"],
        "commandFailRate": rounded_ratio(values["command_fail_rate"]),
        "verifyIntensity": rounded_ratio(values["verify_intensity"]),
        "manualEditRatio": rounded_ratio(values["manual_edit_ratio"]),
        "firstChangeLatencyMs": values["first_change_latency_ms"],
        "testsPassed": values["tests_passed"],
        "commandCount": values["command_count"],
        "fileChangeCount": values["file_change_count"],
        "uniqueFilesTouched": values["unique_files_touched"],
        "testRunCount": values["test_run_count"],
        "decisionCount": values["decision_count"],
        "errorEpisodes": values["error_episodes"],
        "toolUsage": values["tool_usage"],
        "tokens": values["tokens"],
        "totalCostUsd": None if cost is None else cost / BILLION,
        "aiAttributionPct": None if ai_permille is None else ai_permille / 10,
    }


def _elapsed(first: AnalyzedEvent, last: AnalyzedEvent) -> int:
    return milliseconds(last.time_ns - first.time_ns)


def _scaled_ratio(part: int, whole: int, scale: int) -> int | None:
    """Return part / whole in units of 1/scale; None if `whole` is 0."""
    return half_up_ratio(part, whole, scale) if whole else None


def _share(outcomes: Sequence[bool]) -> int:
    """Return the share of true outcomes in billionths; 0 without outcomes."""
    return _scaled_ratio(sum(outcomes), len(outcomes), BILLION) or 0


def is_passed(passed: int, failed: int) -> bool:
    return failed == 0 and passed > 0


def _tests_passed(
    submitted: tuple[int, int] | None, events: Iterable[AnalyzedEvent], has_exit_codes: bool
) -> bool | None:
    """Return the submitted result, or the last test run's, or the last test command's if most exit codes are known."""
    if submitted is not None:
        return is_passed(*submitted)
    verified = [event for event in events if event.passed is not None]
    runs = [event.passed for event in verified if event.kind == "test_run"]
    tests = [event.passed for event in verified if event.command_kind == "test" and has_exit_codes]
    return (runs or tests or [None])[-1]


def rounded_ratio(billionths: int | None) -> float | None:
    """Round to 3 decimals."""
    return None if billionths is None else ratio(billionths, BILLION)
