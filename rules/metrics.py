"""Derive a session's metrics from its events (docs/metrics.md, R19).

The values are exact: milliseconds, billionths, counts. Only `to_response` rounds once more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from rules.envelopes import CHANGE_KINDS
from rules.metric_events import MetricEvent, metric_values, without_editor_duplicates
from rules.rounding import half_up, milliseconds, ratio
from rules.usage import Prices, total_usage

VERSION = 1  # of the definition, stored with the values; increase it when the same events give other values

BILLION = 10**9
_BY_HAND = frozenset({"likely_human", "ai_revised_by_human"})
_ATTRIBUTIONS = _BY_HAND | {"likely_ai", "mixed"}


@dataclass(frozen=True)
class Metrics:
    """A session's metrics: milliseconds, counts, and ratios in billionths."""

    version: int
    event_count: int
    duration_ms: int | None
    prompt_count: int
    command_fail_rate: int
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
    tool_usage: dict[str, int]
    tokens: dict[str, dict[str, int]]
    total_cost_nano_usd: int | None
    ai_attribution_permille: int | None


def derive(
    timeline: Iterable[tuple[int, dict[str, Any]]],
    test_result: tuple[int, int] | None = None,
    prices: Prices = None,
) -> Metrics:
    """The metrics of a session without its late events (R18).

    timeline -- (nanoseconds since the epoch, envelope as sent), in any order
    test_result -- (passed, failed) as submitted by a reviewer or an integration
    prices -- the price table of data/pricing.yaml
    """
    read = (MetricEvent(**metric_values(*item)) for item in timeline)
    events = sorted(read, key=lambda event: event.sort_key)
    kinds = Counter(event.kind for event in events)
    counted = without_editor_duplicates(events)
    commands = [event for event in counted if event.kind == "command"]
    changes = [event for event in counted if event.kind in CHANGE_KINDS]
    attributions = [change.attribution for change in changes if change.attribution in _ATTRIBUTIONS]
    test_runs = [event for event in events if event.kind == "test_run"]
    command_kinds = Counter(command.command_kind for command in commands if command.command_kind)
    verifications = command_kinds.total() + kinds["test_run"] + kinds["build_run"]
    tokens, cost = total_usage((event.usage for event in events if event.usage), prices)
    return Metrics(
        version=VERSION,
        event_count=len(events),
        duration_ms=_elapsed(events[0], events[-1]) if len(events) > 1 else None,
        prompt_count=kinds["prompt"],
        command_fail_rate=_share([command.failed for command in commands if command.failed is not None]),
        verify_intensity=_scaled_ratio(verifications, len(changes), BILLION) or 0,
        manual_edit_ratio=_share([attribution in _BY_HAND for attribution in attributions]),
        first_change_latency_ms=_elapsed(events[0], changes[0]) if changes else None,
        tests_passed=_tests_passed(test_result, test_runs, commands),
        command_count=len(commands),
        file_change_count=len(changes),
        unique_files_touched=len({change.path_digest for change in changes} - {None}),
        test_run_count=kinds["test_run"] + command_kinds["test"],
        decision_count=kinds["decision_event"],
        error_episodes=_count_error_episodes([*commands, *test_runs]),
        tool_usage=tool_usage(events),
        tokens=tokens,
        total_cost_nano_usd=cost,
        ai_attribution_permille=_scaled_ratio(attributions.count("likely_ai"), len(attributions), 1000),
    )


def tool_usage(events: Iterable[MetricEvent]) -> dict[str, int]:
    """Calls by tool; sources without `tool_intent` count by `tool_use` and `mcp_call`."""
    calls = [event for event in events if event.kind in ("tool_intent", "tool_use", "mcp_call")]
    announcing = {call.source for call in calls if call.kind == "tool_intent"}
    counted = [call for call in calls if call.kind == "tool_intent" or call.source not in announcing]
    return dict(sorted(Counter(call.tool for call in counted if call.tool is not None).items()))


def to_response(values: Mapping[str, Any]) -> dict[str, Any]:
    """The `metrics` member of a response: ratios with 3 decimals, USD, percent.

    values -- a mapping with the field names of `Metrics`
    """
    return {
        name: values[field] if convert is None or values[field] is None else convert(values[field])
        for name, (field, convert) in _RESPONSE.items()
    }


def _elapsed(first: MetricEvent, last: MetricEvent) -> int:
    return milliseconds(last.time_ns - first.time_ns)


def _scaled_ratio(part: int, whole: int, scale: int) -> int | None:
    """part / whole in units of 1/scale; None if `whole` is 0."""
    return half_up(Fraction(part * scale, whole)) if whole else None


def _share(outcomes: Sequence[bool]) -> int:
    """The share of true outcomes in billionths; 0 without any."""
    return _scaled_ratio(sum(outcomes), len(outcomes), BILLION) or 0


def _tests_passed(
    submitted: tuple[int, int] | None, test_runs: Iterable[MetricEvent], commands: Iterable[MetricEvent]
) -> bool | None:
    """The submitted result, else the last test run's, else the last test command's."""
    if submitted is not None:
        passed, failed = submitted
        return failed == 0 and passed > 0
    runs = [run.passed for run in test_runs if run.passed is not None]
    tests = (command.passed for command in commands if command.command_kind == "test")
    results = runs or [passed for passed in tests if passed is not None]
    return results[-1] if results else None


def _count_error_episodes(checks: Iterable[MetricEvent]) -> int:
    """The number of unbroken runs of failures; rules/error_episodes.py describes each."""
    in_order = sorted(checks, key=lambda check: check.sort_key)
    failures = [check.failed for check in in_order if check.failed is not None]
    return sum(failed and not before for before, failed in pairwise([False, *failures]))


def _ratio_of_billionths(billionths: int) -> float | None:
    return ratio(billionths, BILLION)


_RESPONSE: dict[str, tuple[str, Callable[[int], Any] | None]] = {
    "durationMs": ("duration_ms", None),
    "promptCount": ("prompt_count", None),
    "commandFailRate": ("command_fail_rate", _ratio_of_billionths),
    "verifyIntensity": ("verify_intensity", _ratio_of_billionths),
    "manualEditRatio": ("manual_edit_ratio", _ratio_of_billionths),
    "firstChangeLatencyMs": ("first_change_latency_ms", None),
    "testsPassed": ("tests_passed", None),
    "commandCount": ("command_count", None),
    "fileChangeCount": ("file_change_count", None),
    "uniqueFilesTouched": ("unique_files_touched", None),
    "testRunCount": ("test_run_count", None),
    "decisionCount": ("decision_count", None),
    "errorEpisodes": ("error_episodes", None),
    "toolUsage": ("tool_usage", None),
    "tokens": ("tokens", None),
    "totalCostUsd": ("total_cost_nano_usd", lambda nano_usd: nano_usd / BILLION),
    "aiAttributionPct": ("ai_attribution_permille", lambda permille: permille / 10),
}
