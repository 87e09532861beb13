"""Find error episodes: uninterrupted runs of failures (docs/metrics.md#analytics-of-a-session)."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rules.events.envelopes import CHANGE_KINDS
from rules.metrics.analyzed_events import AnalyzedEvent
from rules.statistics.rounding import milliseconds


class ErrorEpisode(NamedTuple):
    """A run of failures. `changes` and `prompts` are counted from the first failure to the end."""

    failures: list[AnalyzedEvent]
    ended_by: AnalyzedEvent | None
    ending: str
    duration_ms: int | None
    changes: int
    prompts: int


def find_error_episodes(events: Sequence[AnalyzedEvent]) -> list[ErrorEpisode]:
    """Find the episodes of a session. Events must be in order, without duplicates."""
    checks = [index for index, event in enumerate(events) if event.failed is not None]
    passed = [index for index in checks if events[index].passed]
    last_passed = {_subject(events[index]): index for index in passed}
    runs = [list(run) for failed, run in groupby(checks, key=lambda index: events[index].failed) if failed]
    ends = [*passed, None]
    return [_episode(events, run, ends[bisect(passed, run[-1])], last_passed) for run in runs]


def _episode(
    events: Sequence[AnalyzedEvent], failures: list[int], end: int | None, last_passed: Mapping[Any, int]
) -> ErrorEpisode:
    first, last = events[failures[0]], events[failures[-1]]
    ended_by = None if end is None else events[end]
    kinds = [event.kind for event in events[failures[0] : end]]
    if ended_by is None:
        ending = "open"
    elif _subject(ended_by) == _subject(last):
        ending = "fixed"
    else:
        ending = "fixed_later" if last_passed.get(_subject(last), -1) > failures[-1] else "moved_on"
    return ErrorEpisode(
        failures=[events[index] for index in failures],
        ended_by=ended_by,
        ending=ending,
        duration_ms=milliseconds(ended_by.time_ns - first.time_ns) if ended_by else None,
        changes=sum(kind in CHANGE_KINDS for kind in kinds),
        prompts=kinds.count("prompt"),
    )


def _subject(check: AnalyzedEvent) -> tuple[str, str | None]:
    """Return the subject of a check: a command, or one shared subject for all tests and one for all builds."""
    kind = "test" if check.kind == "test_run" else check.command_kind
    return ("command", check.subject) if kind is None else (kind, None)
