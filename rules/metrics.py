"""A session's timeline becomes its metrics: metrics.md, sentence by sentence, on plain values (R19).

The values are the session's: milliseconds, billionths, counts. Only `shown` rounds once more, for people.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from rules import usage
from rules.records import CHANGES, Record, record_of
from rules.rounding import half_up, round_half_away

VERSION = 1  # of the definition, stored beside the numbers; it grows when they would come out differently

_NANOSECONDS_A_MILLISECOND = 10**6
_BILLION = 10**9
_BY_HAND = frozenset({"likely_human", "ai_revised_by_human"})
_ATTRIBUTED = _BY_HAND | {"likely_ai", "mixed"}


@dataclass(frozen=True)
class Metrics:
    """All of a session's metrics, exact: milliseconds, counts, and ratios in billionths."""

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
    prices: Sequence[Mapping[str, Any]] | None = None,
) -> Metrics:
    """The metrics of a session without its late events (R18).

    timeline -- (nanoseconds since the epoch, the envelope as it was sent), in any order
    test_result -- the (passed, failed) that a reviewer or an integration submitted
    prices -- the price table of data/pricing.yaml
    """
    records = sorted((record_of(time, envelope) for time, envelope in timeline), key=_order)
    kinds = Counter(record.kind for record in records)
    commands = _without_doubles([record for record in records if record.kind == "command"])
    changes = _without_doubles([record for record in records if record.kind in CHANGES])
    test_runs = [record for record in records if record.kind == "test_run"]
    command_kinds = Counter(command.command_kind for command in commands if command.command_kind)
    verifications = command_kinds.total() + kinds["test_run"] + kinds["build_run"]
    tokens, cost = usage.total((record.usage for record in records if record.usage), prices)
    return Metrics(
        version=VERSION,
        event_count=len(records),
        duration_ms=_milliseconds(records[0], records[-1]) if len(records) > 1 else None,
        prompt_count=kinds["prompt"],
        command_fail_rate=_share(command.failed for command in commands if command.failed is not None),
        verify_intensity=_ratio(verifications, len(changes), _BILLION) or 0,
        manual_edit_ratio=_share(change.attribution in _BY_HAND for change in _attributed(changes)),
        first_change_latency_ms=_milliseconds(records[0], changes[0]) if changes else None,
        tests_passed=_tests_passed(test_result, test_runs, commands),
        command_count=len(commands),
        file_change_count=len(changes),
        unique_files_touched=len({change.path for change in changes if change.path is not None}),
        test_run_count=kinds["test_run"] + command_kinds["test"],
        decision_count=kinds["decision_event"],
        error_episodes=_episodes([*commands, *test_runs]),
        tool_usage=_tool_usage(records),
        tokens=tokens,
        total_cost_nano_usd=cost,
        ai_attribution_permille=_ai_permille(_attributed(changes)),
    )


def _order(record: Record) -> tuple[int, str, str]:
    """By time, ties by id. An event without an id, which ingest refuses, is ordered by what it says."""
    return record.time, record.id, "" if record.id else repr(record)


def _without_doubles(records: list[Record]) -> list[Record]:
    """The editor extension reports again what others report: it counts only where nobody else does."""
    return [record for record in records if not record.from_editor] or records


def _milliseconds(earlier: Record, later: Record) -> int:
    return half_up(Fraction(later.time - earlier.time, _NANOSECONDS_A_MILLISECOND))


def _ratio(part: int, whole: int, scale: int) -> int | None:
    """part / whole in units of 1/scale; None where there is nothing to divide by."""
    return half_up(Fraction(part * scale, whole)) if whole else None


def _share(answers: Iterable[bool | None]) -> int:
    """The share of yes among the answers, in billionths; 0 without an answer."""
    given = list(answers)
    return _ratio(sum(map(bool, given)), len(given), _BILLION) or 0


def _attributed(changes: Iterable[Record]) -> list[Record]:
    return [change for change in changes if change.attribution in _ATTRIBUTED]


def _ai_permille(attributed: Sequence[Record]) -> int | None:
    """Tenths of a percent, so that one rounding gives the one decimal."""
    return _ratio(sum(change.attribution == "likely_ai" for change in attributed), len(attributed), 1000)


def _tests_passed(
    submitted: tuple[int, int] | None, test_runs: Iterable[Record], commands: Iterable[Record]
) -> bool | None:
    """The submitted result, else the last test run's counts, else the last test command's known exit code."""
    if submitted is not None:
        passed, failed = submitted
        return failed == 0 and passed > 0
    results = [run.passed for run in test_runs if run.passed is not None]
    if not results:
        tests = (command for command in commands if command.command_kind == "test")
        results = [test.passed for test in tests if test.passed is not None]
    return results[-1] if results else None


def _episodes(checks: Iterable[Record]) -> int:
    """The unbroken runs of failures among commands with a known exit code and test runs with their counts."""
    failures = [check.failed for check in sorted(checks, key=_order) if check.failed is not None]
    return sum(failed and not before for before, failed in pairwise([False, *failures]))


def _tool_usage(records: Iterable[Record]) -> dict[str, int]:
    """Announced calls; for a source that announces none, the calls that it reports afterwards."""
    by_kind: dict[str, list[Record]] = {"tool_intent": [], "tool_use": [], "mcp_call": []}
    for record in records:
        if record.kind in by_kind:
            by_kind[record.kind].append(record)
    announcing = {intent.source for intent in by_kind["tool_intent"]}
    reported = [call for call in by_kind["tool_use"] + by_kind["mcp_call"] if call.source not in announcing]
    names = Counter(call.tool for call in by_kind["tool_intent"] + reported if call.tool is not None)
    return dict(sorted(names.items()))


def shown(metrics_row: Mapping[str, Any]) -> dict[str, Any]:
    """The `metrics` of a session's answer, of a mapping with the field names of `Metrics`.

    Times and counts stay integers; ratios come with 3 decimals, the cost in USD, the share of AI in percent.
    """
    return {name: show(metrics_row[field]) for name, (field, show) in _SHOWN.items()}


def _as_it_is(value: Any) -> Any:
    return value


def _shown_ratio(billionths: int | None) -> float | None:
    return None if billionths is None else float(round_half_away(Fraction(billionths, _BILLION), 3))


def _shown_dollars(billionths: int | None) -> float | None:
    return None if billionths is None else billionths / _BILLION


def _shown_percent(permille: int | None) -> float | None:
    return None if permille is None else permille / 10


_SHOWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "durationMs": ("duration_ms", _as_it_is),
    "promptCount": ("prompt_count", _as_it_is),
    "commandFailRate": ("command_fail_rate", _shown_ratio),
    "verifyIntensity": ("verify_intensity", _shown_ratio),
    "manualEditRatio": ("manual_edit_ratio", _shown_ratio),
    "firstChangeLatencyMs": ("first_change_latency_ms", _as_it_is),
    "testsPassed": ("tests_passed", _as_it_is),
    "commandCount": ("command_count", _as_it_is),
    "fileChangeCount": ("file_change_count", _as_it_is),
    "uniqueFilesTouched": ("unique_files_touched", _as_it_is),
    "testRunCount": ("test_run_count", _as_it_is),
    "decisionCount": ("decision_count", _as_it_is),
    "errorEpisodes": ("error_episodes", _as_it_is),
    "toolUsage": ("tool_usage", _as_it_is),
    "tokens": ("tokens", _as_it_is),
    "totalCostUsd": ("total_cost_nano_usd", _shown_dollars),
    "aiAttributionPct": ("ai_attribution_permille", _shown_percent),
}
