"""The error episodes of a session: unbroken runs of failures, and how each of them ended (metrics.md, `errorEpisodes`).

An episode ends with the next command or test run that is known to have passed. How, is one of:

- `fixed`: what failed last then passed: the same command, or a verification of the same kind (a test after a test)
- `fixed_later`: something else passed next, but what failed last passed at some time after that
- `moved_on`: something else passed next, and what failed last was never seen to pass
- `open`: nothing passed after it
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

from rules.records import CHANGES
from rules.rounding import half_up
from rules.steps import Step


class Episode(NamedTuple):
    """A run of failures, the step that ended it, and what happened between its first failure and its end."""

    failures: list[Step]
    ended_by: Step | None
    ending: str
    duration_ms: int | None
    changes: int
    prompts: int


def episodes(steps: Sequence[Step]) -> list[Episode]:
    """The episodes of a session's steps, which are in order and without doubles."""
    checks = [(place, step) for place, step in enumerate(steps) if step.record.failed is not None]
    last_passed = {_what(step): place for place, step in checks if not step.record.failed}
    runs = [(failed, list(run)) for failed, run in groupby(checks, key=lambda check: check[1].record.failed)]
    endings = [run[0] for _, run in runs[1:]] + [None]
    return [
        _episode(steps, run, ending, last_passed)
        for (failed, run), ending in zip(runs, endings, strict=False)
        if failed
    ]


def _episode(
    steps: Sequence[Step],
    run: list[tuple[int, Step]],
    next_passed: tuple[int, Step] | None,
    last_passed: Mapping[Any, int],
) -> Episode:
    end, ended_by = next_passed or (len(steps), None)
    start, first = run[0]
    between = [step.kind for step in steps[start:end]]
    return Episode(
        failures=[step for _, step in run],
        ended_by=ended_by,
        ending=_ending(run[-1], ended_by, last_passed),
        duration_ms=ended_by and half_up(Fraction(ended_by.time - first.time, 10**6)),
        changes=sum(kind in CHANGES for kind in between),
        prompts=between.count("prompt"),
    )


def _ending(last_failure: tuple[int, Step], ended_by: Step | None, last_passed: Mapping[Any, int]) -> str:
    place, failure = last_failure
    if ended_by is None:
        return "open"
    if _what(ended_by) == _what(failure):
        return "fixed"
    return "fixed_later" if last_passed.get(_what(failure), -1) > place else "moved_on"


def _what(step: Step) -> tuple[str, str | None]:
    """What a check is of: all tests are of one thing, and so are all builds; other commands are what they say."""
    kind = "test" if step.kind == "test_run" else step.record.command_kind
    return ("command", step.subject) if kind is None else (kind, None)
