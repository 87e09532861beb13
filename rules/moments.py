"""Find moments: places in a session that are worth a question (docs/moments.md)."""

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

VERSION = 1  # Increase this when a change to the rules changes the moments of existing sessions.
MIN_FAILURES = 2
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
_STRAIGHT_QUOTES = str.maketrans("“”", '""')
_RESULTS = {True: "failed", False: "succeeded", None: "has no known result"}
# The exit code is that of one part: the test's can differ.
_UNCLEAR = re.compile(r"[|;\n]|(?<![&<>])&(?![&>])")
# How Claude Code's client reports the reply to a rejected plan.
_REJECTED_PLAN = ("rejected", "The user doesn't want to ", "User rejected ")


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


class _Details:
    """The values that moments need besides the analyzed events, by event id."""

    def __init__(self) -> None:
        self.changes: dict[str, _Change] = {}
        self.rejections: dict[str, tuple[bool, str]] = {}  # whether it was a plan, and the sentence
        self.unclear: set[str] = set()

    def collect(self, timeline: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Yield the timeline unchanged."""
        lines_left = MAX_COMPARED_LINES
        for time_ns, envelope in timeline:
            event_id, kind = text(field(envelope, "id")) or "", text(field(envelope, "kind"))
            if kind in CHANGE_KINDS:
                change = _read_change(envelope)
                lines_left -= len(change.removed) + len(change.added)
                self.changes[event_id] = change if lines_left >= 0 else change._replace(removed=[], added=[])
            elif kind == "command" and _UNCLEAR.search(text(field(envelope, "data", "command")) or ""):
                self.unclear.add(event_id)
            elif rejection := _read_rejection(kind, field(envelope, "data")):
                self.rejections[event_id] = rejection
            yield time_ns, envelope


def find_moments(timeline: Iterable[tuple[int, Any]]) -> list[Moment]:
    """Find up to seven moments, in chronological order.

    timeline -- as in `read_events`. Its order also matters beyond MAX_COMPARED_LINES
    """
    details = _Details()
    events = drop_editor_duplicates(read_events(details.collect(timeline), details=True))
    for event in events:
        if event.id in details.unclear:
            event.failed = None
    moments = [*_error_episode(events), *_compared_changes(events, details.changes)]
    for is_plan in (True, False):
        rejected = [event for event in events if details.rejections.get(event.id, ("",))[0] is is_plan]
        moments += [
            _moment("rejected_call", details.rejections[event.id][1], event) for event in rejected[:1]
        ]
    moments += _tests(events, details.changes, {moment.event_ids[0] for moment in moments})
    return sorted(moments, key=lambda moment: (moment.time_ns, moment.kind, moment.event_ids))


def _read_change(envelope: Any) -> _Change:
    data = field(envelope, "data")
    diff = (
        text(field(data, "diff")) if field(data, "original") is None else None
    )  # Otherwise it is truncated.
    lines = [line for line in diff_lines(diff or "") if not line.startswith("\\")]
    sides = [[line[1:] for line in lines if not line.startswith(sign)] for sign in "+-"]
    before, after = (
        Counter(hash(line.strip()) for line in side if any(map(str.isalnum, line))) for side in sides
    )
    return _Change(
        place=(text(field(data, "meta", "cwd")), text(field(data, "path"))),
        is_by_agent=field(envelope, "provenance", "attribution") == "likely_ai",
        sides=tuple(hash("\n".join(side)) for side in sides),
        removed=[*(before - after).elements()],
        added=[*(after - before).elements()],
    )


def _read_rejection(kind: str | None, data: Any) -> tuple[bool, str] | None:
    tool, response = field(data, "cutTool"), text(field(data, "responsePreview")) or ""
    is_rejected = field(data, "approved") is False or response.startswith(_REJECTED_PLAN)
    if kind == "plan_decision" and is_rejected:
        return True, f"A plan of the agent was rejected{_quote(field(data, 'planPreview'), ': ')}."
    if kind == "interrupt" and field(data, "variant") == "tool_use":
        call = " ".join(filter(None, (text(tool), text(field(data, "cutToolInput")))))
        return (
            tool == "ExitPlanMode",
            f"A tool call of the agent was rejected or interrupted{_quote(call, ': ')}.",
        )
    return None


def _error_episode(events: list[AnalyzedEvent]) -> Iterator[Moment]:
    """Yield the longest run of failed tests, checks and builds; of several, the first."""
    checks = [event for event in events if event.command_kind or event.kind == "test_run"]
    runs = [list(run) for _, run in groupby(checks, key=lambda event: event.failed)]
    run = max((run for run in runs if run[0].failed), key=len, default=[])
    if len(run) < MIN_FAILURES:
        return
    first, last = run[0], run[-1]
    count = f"{len(run)} tests, checks or builds in a row failed, {_within(first, last)}"
    sentence = f"{count}. The last was{_quote(last.subject)}."
    end = next(iter(checks[checks.index(last) + 1 :]), None)
    if end:
        kinds = [event.kind for event in events[events.index(first) : events.index(end)]]
        changes = pluralize(sum(kind in CHANGE_KINDS for kind in kinds), "change")
        sentence += f" The next,{_quote(end.subject)}, {_RESULTS[end.failed]}. "
        sentence += f"From the first to this one: {changes} and {pluralize(kinds.count('prompt'), 'prompt')}."
    yield _moment("error_episode", sentence, first, last, end)


def _compared_changes(events: list[AnalyzedEvent], changes: dict[str, _Change]) -> Iterator[Moment]:
    """Yield the largest reversed change, and the agent's change with the most replaced lines; of several, the first."""
    latest: dict[Any, int] = {}
    authors: dict[Any, list[int]] = defaultdict(list)  # the changes that added a line, until it is removed
    reversals, replacements = [], []
    changed = [event for event in events if event.kind in CHANGE_KINDS]
    for index, event in enumerate(changed):
        place, _, sides, removed, added = changes[event.id]
        undone = latest.get((place, *reversed(sides))) if removed or added else None
        if undone is not None:
            reversals.append((len(removed) + len(added), changed[undone], event))
        latest[place, *sides] = index
        replaced = Counter(numbers.pop() for line in removed if (numbers := authors[place, line]))
        for number, count in replaced.items():
            earlier = changes[changed[number].id]
            is_replaced = earlier.is_by_agent and 2 * count >= len(earlier.added) >= MIN_REPLACED_LINES
            if is_replaced and added and number != undone:
                replacements.append((count, changed[number], event))
        for line in added:
            authors[place, line].append(index)
    for _, first, second in sorted(reversals, key=itemgetter(0), reverse=True)[:1]:
        sentence = f"A change{_path(first, changes)} was reversed by another one {_within(first, second)}."
        yield _moment("reversed_change", sentence, first, second)
    for count, first, second in sorted(replacements, key=itemgetter(0), reverse=True)[:1]:
        lines = f"{pluralize(count, 'line')} or more that an agent's change{_path(first, changes)} had added"
        sentence = f"Another change removed {lines}, and added others, {_within(first, second)}."
        yield _moment("replaced_change", sentence, first, second)


def _tests(events: list[AnalyzedEvent], changes: dict[str, _Change], first_ids: set[str]) -> Iterator[Moment]:
    """Yield the first failing test, unless another moment starts with it, and the tests after the last change."""
    tests = [event for event in events if event.command_kind == "test" or event.kind == "test_run"]
    failing = next((test for test in tests if test.failed), None)
    if failing and failing.id not in first_ids:
        sentence = f"The first test command known to have failed was{_quote(failing.subject)}."
        yield _moment("first_failing_test", sentence, failing)
    change = next((event for event in reversed(events) if event.kind in CHANGE_KINDS), None)
    if change is None:
        return
    after = f"finished after the last recorded change{_path(change, changes)}."
    later = [test for test in tests if (test.time_ns, test.id) > (change.time_ns, change.id)]
    if not later:
        yield _moment("no_tests_after_last_change", f"No command recognized as a test {after}", change)
        return
    sentence = f"{pluralize(len(later), 'test command')} {after} The last,{_quote(later[-1].subject)}, "
    yield _moment("tests_after_last_change", f"{sentence}{_RESULTS[later[-1].failed]}.", change, later[-1])


def _moment(kind: str, sentence: str, first: AnalyzedEvent, *others: AnalyzedEvent | None) -> Moment:
    ids = dict.fromkeys(event.id for event in (first, *others) if event)
    return Moment(kind, first.time_ns, [*ids], sentence, QUESTIONS[kind])


def _within(first: AnalyzedEvent, last: AnalyzedEvent) -> str:
    minutes = -((first.time_ns - last.time_ns) // (60 * 10**9))  # rounded up
    return f"within {format_minutes(max(1, minutes))}"


def _path(event: AnalyzedEvent, changes: dict[str, _Change]) -> str:
    return _quote(changes[event.id].place[1], " to ")


def _quote(value: Any, before: str = " ") -> str:
    """Quote recorded text on one line. It cannot end the quotation."""
    line = one_line((text(value) or "").translate(_STRAIGHT_QUOTES), MAX_QUOTE_CHARACTERS)
    return f"{before}“{line}”" if line else ""
