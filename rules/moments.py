"""Find moments: points in a session worth asking about (docs/moments.md)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from rules.events.envelopes import CHANGE_KINDS, field, text
from rules.metrics.agent_lines import diff_lines
from rules.metrics.analyzed_events import AnalyzedEvent, drop_editor_duplicates, read_events
from rules.plain_text import format_minutes, one_line, pluralize

UNNAMED = " a test run"  # an event without the test framework's name
VERSION = 1  # Increase this when a change to the rules changes the moments of existing sessions.
MIN_REPLACED_LINES = 3
MAX_COMPARED_LINES = 200_000  # of all changes of a session
MAX_QUOTE_CHARACTERS = 100
QUESTIONS = {
    "error_episode": ("What did you think the cause was?", "How did you decide what to try next?"),
    "first_failing_test": ("What did you learn from this result?", "What did you do next, and why?"),
    "reversed_change": ("What was this change meant to do?", "What led to going back?"),
    "rejected_call": ("What did you see at this point?", "What may an agent do on its own, and what not?"),
    "replaced_change": ("What did you think of the first version?", "How do the two versions differ?"),
    "tests_after_last_change": ("What does this result leave open?", "What would you test next, and how?"),
    "no_tests_after_last_change": ("How did you decide that it was done?", "How would you check the result?"),
}
REPLIES = ("interrupt", "plan_decision")
# The exit code is that of one part of the command; another part can have another.
_UNCLEAR = re.compile(r"[|;\n]|(?<![&<>])&(?![&>])")
# How Claude Code's client reports the reply to a rejected plan.
_REJECTED_PLAN = ("rejected", "The user doesn't want to ", "User rejected ")
_STRAIGHT_QUOTES = str.maketrans("“”", '""')


class Moment(NamedTuple):
    kind: str
    time_ns: int
    event_ids: list[str]
    text: str
    questions: tuple[str, str]


class _Change(NamedTuple):
    """A change's diff as hashes. `removed` and `added` leave out lines that it only moves or indents."""

    place: tuple[str | None, str | None]  # folder and path
    is_by_agent: bool
    sides: tuple[int, ...]  # all lines before and after, with their context
    removed: list[int]
    added: list[int]


Details = dict[str, Any]  # by event id: a _Change, a rejection, or whether a command's result is unclear


def find_moments(timeline: Iterable[tuple[int, Any]], is_running: bool = False) -> list[Moment]:
    """Find up to seven moments, in chronological order.

    timeline -- as in `read_events`. Its order also matters beyond MAX_COMPARED_LINES
    is_running -- events can follow: no change is the last one
    """
    details: Details = {}
    events = drop_editor_duplicates(read_events(_collect(timeline, details), details=True))
    for event in events:
        if event.kind == "command" and details[event.id]:
            event.failed = event.passed = None
    moments = [*_error_episode(events, is_running), *_rejected_calls(events, details)]
    moments += _compared_changes(events, details)
    moments += _first_failing_test(events, {moment.event_ids[0] for moment in moments})
    if not is_running:
        moments += _tests_after_last_change(events, details)
    return sorted(moments, key=lambda moment: (moment.time_ns, moment.kind, moment.event_ids))


def _collect(timeline: Iterable[tuple[int, Any]], details: Details) -> Iterator[tuple[int, Any]]:
    """Yield the timeline unchanged, and collect the details."""
    lines_left = MAX_COMPARED_LINES
    for time_ns, envelope in timeline:
        event_id, kind = text(field(envelope, "id")) or "", text(field(envelope, "kind"))
        if kind in CHANGE_KINDS:
            change = _read_change(envelope)
            lines_left -= len(change.removed) + len(change.added)
            details[event_id] = change if lines_left >= 0 else change._replace(removed=[], added=[])
        elif kind == "command":
            details[event_id] = bool(_UNCLEAR.search(text(field(envelope, "data", "command")) or ""))
        elif rejection := _read_rejection(kind, field(envelope, "data")):
            details[event_id] = rejection
        yield time_ns, envelope


def _read_change(envelope: Any) -> _Change:
    data = field(envelope, "data")
    diff = "" if field(data, "original") else text(field(data, "diff")) or ""  # `original`: it is truncated.
    lines = [line for line in diff_lines(diff) if not line.startswith("\\")]
    sides = [[line[1:] for line in lines if not line.startswith(sign)] for sign in "+-"]
    hashes = ((hash(line.strip()) for line in side if any(map(str.isalnum, line))) for side in sides)
    before, after = map(Counter, hashes)
    return _Change(
        place=(text(field(data, "meta", "cwd")), text(field(data, "path"))),
        is_by_agent=field(envelope, "provenance", "attribution") == "likely_ai",
        sides=tuple(hash("\n".join(side)) for side in sides),
        removed=[*(before - after).elements()],
        added=[*(after - before).elements()],
    )


def _read_rejection(kind: str | None, data: Any) -> tuple[bool, str] | None:
    """Return whether it was a plan, and the sentence; None if nothing was rejected."""
    if kind == "interrupt" and field(data, "variant") == "tool_use":
        call = " ".join(filter(None, (text(field(data, name)) for name in ("cutTool", "cutToolInput"))))
        sentence = f"A tool call of the agent was rejected or interrupted{_quote(call, ': ')}."
        return field(data, "cutTool") == "ExitPlanMode", sentence
    response = text(field(data, "responsePreview")) or ""
    if kind == "plan_decision" and (response.startswith(_REJECTED_PLAN) or field(data, "approved") is False):
        return True, f"A plan of the agent was rejected{_quote(field(data, 'planPreview'), ': ')}."
    return None


def _rejected_calls(events: list[AnalyzedEvent], details: Details) -> Iterator[Moment]:
    """Yield the first rejected plan and the first other rejected call."""
    rejected = [event for event in events if event.kind in REPLIES and event.id in details]
    for is_plan in (True, False):
        for event in [event for event in rejected if details[event.id][0] is is_plan][:1]:
            yield _moment("rejected_call", details[event.id][1], event)


def _error_episode(events: list[AnalyzedEvent], is_running: bool) -> Iterator[Moment]:
    """Yield the longest run of at least two failed tests, checks and builds; of several, the first."""
    checks = [event for event in events if event.command_kind or event.kind == "test_run"]
    runs = [list(run) for _, run in groupby(checks, key=lambda event: event.failed)]
    run = max((run for run in runs if run[0].failed), key=len, default=[])
    if len(run) < 2:
        return
    first, last, end = run[0], run[-1], next(iter(checks[checks.index(run[-1]) + 1 :]), None)
    count = f"{len(run)} tests, checks or builds in a row failed, {_within(first, last)}"
    sentence = f"{count}. The last was{_quote(last.subject) or UNNAMED}."
    if end is None and not is_running:
        sentence += " None followed."
    if end:
        between = events[events.index(first) : events.index(end)]
        changes = pluralize(sum(event.kind in CHANGE_KINDS for event in between), "change")
        sentence += f" The next{_aside(end.subject)} {_result(end)}, {changes} after the first."
    yield _moment("error_episode", sentence, first, last, end)


def _compared_changes(events: list[AnalyzedEvent], details: Details) -> Iterator[Moment]:
    """Yield the largest reversed change, and the agent's change with the most replaced lines; of several, the first."""
    latest: dict[Any, int] = {}
    authors: dict[Any, list[int]] = defaultdict(list)  # the changes that added a line, until it is removed
    found: dict[str, list[tuple[int, str, AnalyzedEvent, AnalyzedEvent]]] = defaultdict(list)
    changed = [event for event in events if event.kind in CHANGE_KINDS]
    for index, event in enumerate(changed):
        place, _, sides, removed, added = details[event.id]
        path = _quote(place[1])
        undone = latest.get((place, *reversed(sides))) if removed or added else None
        if undone is not None:
            sentence = f"A change to{path} was reversed by another one {_within(changed[undone], event)}."
            found["reversed_change"].append((len(removed) + len(added), sentence, changed[undone], event))
        latest[place, *sides] = index
        replaced = Counter(numbers.pop() for line in removed if (numbers := authors[place, line]))
        for number, count in replaced.items():
            first, earlier = changed[number], details[changed[number].id]
            is_replaced = earlier.is_by_agent and 2 * count >= len(earlier.added) >= MIN_REPLACED_LINES
            if is_replaced and added and number != undone:
                lines = f"at least {pluralize(count, 'line')} that an agent's change to{path} had added"
                sentence = f"A later change removed {lines}, and added others, {_within(first, event)}."
                found["replaced_change"].append((count, sentence, first, event))
        for line in added:
            authors[place, line].append(index)
    for kind, pairs in found.items():
        yield _moment(kind, *max(pairs, key=itemgetter(0))[1:])


def _result(check: AnalyzedEvent) -> str:
    if check.failed is None:
        return "has no known result"
    return "failed" if check.failed else "succeeded" if check.passed else "ran no tests"


def _tests(events: list[AnalyzedEvent]) -> list[AnalyzedEvent]:
    return [event for event in events if event.command_kind == "test" or event.kind == "test_run"]


def _first_failing_test(events: list[AnalyzedEvent], first_ids: set[str]) -> Iterator[Moment]:
    """Yield the first failing test, unless another moment starts with it."""
    failing = next((test for test in _tests(events) if test.failed), None)
    if failing and failing.id not in first_ids:
        sentence = f"The first test command known to have failed was{_quote(failing.subject) or UNNAMED}."
        yield _moment("first_failing_test", sentence, failing)


def _tests_after_last_change(events: list[AnalyzedEvent], details: Details) -> Iterator[Moment]:
    for change in [event for event in events if event.kind in CHANGE_KINDS][-1:]:
        after = f"finished after the last recorded change{_quote(details[change.id].place[1], ' to ')}."
        later = [test for test in _tests(events) if (test.time_ns, test.id) > (change.time_ns, change.id)]
        if later:
            last = f"The last{_aside(later[-1].subject)} {_result(later[-1])}."
            sentence = f"{pluralize(len(later), 'test command')} {after} {last}"
            yield _moment("tests_after_last_change", sentence, change, later[-1])
        else:
            yield _moment("no_tests_after_last_change", f"No command recognized as a test {after}", change)


def _moment(kind: str, sentence: str, first: AnalyzedEvent, *others: AnalyzedEvent | None) -> Moment:
    ids = dict.fromkeys(event.id for event in (first, *others) if event)
    return Moment(kind, first.time_ns, [*ids], sentence, QUESTIONS[kind])


def _within(first: AnalyzedEvent, last: AnalyzedEvent) -> str:
    minutes = -((first.time_ns - last.time_ns) // (60 * 10**9))  # rounded up
    return f"within {format_minutes(max(1, minutes))}"


def _quote(value: Any, before: str = " ") -> str:
    """Quote recorded text on one line. It cannot end the quotation."""
    line = one_line((text(value) or "").translate(_STRAIGHT_QUOTES), MAX_QUOTE_CHARACTERS)
    return f"{before}“{line}”" if line else ""


def _aside(value: Any) -> str:
    quotation = _quote(value, ", ")
    return f"{quotation}," if quotation else ""
