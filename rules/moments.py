"""Find moments: places in a session that are worth a question (docs/moments.md)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from rules.events.envelopes import CHANGE_KINDS, field, text
from rules.metrics.agent_lines import diff_lines
from rules.metrics.analyzed_events import AnalyzedEvent, drop_editor_duplicates, read_events
from rules.metrics.error_episodes import find_error_episodes
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
_MINUTE_NS = 60 * 10**9
# How Claude Code's client reports the reply to a rejected plan.
_REJECTED_PLAN = ("rejected", "The user doesn't want to ", "User rejected ")


class Moment(NamedTuple):
    kind: str
    time_ns: int
    event_ids: list[str]
    text: str
    questions: tuple[str, str]


class _Change(NamedTuple):
    """A change. Without a complete diff, it has no lines.

    place -- the folder and the path: changes to the same place are compared
    sides -- hashes of the lines before and after, with their context
    removed, added -- hashes of the lines with a letter or digit, unless the change only moves or indents them
    """

    place: tuple[str | None, str | None]
    is_by_agent: bool
    sides: tuple[int, ...]
    removed: list[int]
    added: list[int]


def find_moments(timeline: Iterable[tuple[int, Any]]) -> list[Moment]:
    """Find up to seven moments, in chronological order.

    timeline -- as in `read_events`. The order also matters if there are more than MAX_COMPARED_LINES
    """
    changes: dict[str, _Change] = {}
    rejections: dict[str, tuple[bool, str]] = {}
    events = drop_editor_duplicates(read_events(_collect(timeline, changes, rejections), details=True))
    moments = [*_error_episode(events), *_compared_changes(events, changes)]
    moments += [*_rejected_calls(events, rejections), *_tests(events, changes, moments)]
    return sorted(moments, key=lambda moment: (moment.time_ns, moment.kind, moment.event_ids))


def _collect(
    timeline: Iterable[tuple[int, Any]],
    changes: dict[str, _Change],
    rejections: dict[str, tuple[bool, str]],
) -> Iterator[tuple[int, Any]]:
    """Yield the timeline unchanged, and collect its changes and rejected calls by event id."""
    lines_left = MAX_COMPARED_LINES
    for time_ns, envelope in timeline:
        event_id, kind = text(field(envelope, "id")) or "", text(field(envelope, "kind"))
        if kind in CHANGE_KINDS:
            change = _read_change(envelope)
            lines_left -= len(change.removed) + len(change.added)
            changes[event_id] = change if lines_left >= 0 else change._replace(removed=[], added=[])
        elif rejection := _read_rejection(kind, field(envelope, "data")):
            rejections[event_id] = rejection
        yield time_ns, envelope


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
    """Return whether a plan was rejected, and the sentence; None if nothing was rejected."""
    tool, response = field(data, "cutTool"), text(field(data, "responsePreview")) or ""
    is_rejected = field(data, "approved") is False or response.startswith(_REJECTED_PLAN)
    if kind == "plan_decision" and is_rejected:
        return True, f"A plan of the agent was rejected: {_quote(field(data, 'planPreview'))}."
    if kind == "interrupt" and field(data, "variant") == "tool_use":
        call = " ".join(filter(None, (text(tool), text(field(data, "cutToolInput")))))
        return (
            tool == "ExitPlanMode",
            f"A tool call of the agent was rejected or interrupted: {_quote(call)}.",
        )
    return None


def _error_episode(events: list[AnalyzedEvent]) -> Iterator[Moment]:
    """Yield the error episode with the most failures. Commands that only read have no part in it."""
    episodes = find_error_episodes([event for event in events if not event.is_read_only])
    episode = max(episodes, key=lambda episode: len(episode.failures), default=None)
    if episode is None or len(episode.failures) < MIN_FAILURES:
        return
    first, last, end = episode.failures[0], episode.failures[-1], episode.ended_by
    sentence = (
        f"{len(episode.failures)} commands or test runs failed {_within(first, last)}, and none is known to have "
        f"succeeded in between, except commands that only read. The last was {_quote(last.subject)}. "
    )
    if end:
        counts = f"{pluralize(episode.changes, 'change')} and {pluralize(episode.prompts, 'prompt')}"
        sentence += f"Then {_quote(end.subject)} {_result(end)}. From the first failure until then: {counts}."
    else:
        sentence += "No later one is known to have succeeded."
    yield _moment("error_episode", sentence, first, last, end)


def _compared_changes(events: list[AnalyzedEvent], changes: dict[str, _Change]) -> Iterator[Moment]:
    """Yield the largest reversed change, and the agent's change with the most replaced lines; of several, the first."""
    latest: dict[Any, int] = {}
    authors: dict[Any, list[int]] = defaultdict(list)  # the changes that added a line, without removed lines
    reversals, replacements = [], []
    changed = [event for event in events if event.kind in CHANGE_KINDS]
    for index, event in enumerate(changed):
        place, _, sides, removed, added = changes[event.id]
        undone = latest.get((place, *reversed(sides))) if removed or added else None
        if undone is not None:
            reversals.append((len(removed) + len(added), changed[undone], event))
        latest[place, *sides] = index
        replaced = Counter(line_authors.pop() for line in removed if (line_authors := authors[place, line]))
        for number, count in replaced.items():
            first = changes[changed[number].id]
            is_replaced = first.is_by_agent and 2 * count >= len(first.added) >= MIN_REPLACED_LINES
            if is_replaced and added and number != undone:
                replacements.append((count, changed[number], event))
        for line in added:
            authors[place, line].append(index)
    if reversals:
        _, first, second = max(reversals, key=itemgetter(0))
        sentence = f"Another change reversed a change to {_path(first, changes)} {_within(first, second)}."
        yield _moment("reversed_change", sentence, first, second)
    if replacements:
        count, first, second = max(replacements, key=itemgetter(0))
        lines = (
            f"{pluralize(count, 'line')} or more that an agent's change to {_path(first, changes)} had added"
        )
        sentence = f"Another change removed {lines}, and added others, {_within(first, second)}."
        yield _moment("replaced_change", sentence, first, second)


def _rejected_calls(events: list[AnalyzedEvent], rejections: dict[str, tuple[bool, str]]) -> Iterator[Moment]:
    """Yield the first rejected plan and the first other rejected call."""
    for is_plan in (True, False):
        rejected = [event for event in events if rejections.get(event.id, ("",))[0] is is_plan]
        for event in rejected[:1]:
            yield _moment("rejected_call", rejections[event.id][1], event)


def _tests(
    events: list[AnalyzedEvent], changes: dict[str, _Change], moments: list[Moment]
) -> Iterator[Moment]:
    """Yield the first failing test, unless another moment starts with it, and the tests after the last change."""
    tests = [event for event in events if event.command_kind == "test" or event.kind == "test_run"]
    failing = next((index for index, test in enumerate(tests) if test.failed), None)
    if failing is not None and all(moment.event_ids[0] != tests[failing].id for moment in moments):
        first, passing = (
            tests[failing],
            next((test for test in tests[failing:] if test.failed is False), None),
        )
        sentence = f"The first test run that {_result(first)} was {_quote(first.subject)}. "
        if passing:
            sentence += (
                f"The next that {_result(passing)} was {_quote(passing.subject)}, {_within(first, passing)}."
            )
        else:
            sentence += "No later one is known to have succeeded."
        yield _moment("first_failing_test", sentence, first, passing)
    change = next((event for event in reversed(events) if event.kind in CHANGE_KINDS), None)
    if change is None:
        return
    after = f"finished after the last recorded change, to {_path(change, changes)}."
    later = [test for test in tests if (test.time_ns, test.id) > (change.time_ns, change.id)]
    if not later:
        yield _moment("no_tests_after_last_change", f"No recognized test run {after}", change)
        return
    last = f"The last, {_quote(later[-1].subject)}, {_result(later[-1])}."
    yield _moment(
        "tests_after_last_change", f"{pluralize(len(later), 'test run')} {after} {last}", change, later[-1]
    )


def _moment(kind: str, sentence: str, first: AnalyzedEvent, *others: AnalyzedEvent | None) -> Moment:
    ids = dict.fromkeys(event.id for event in (first, *others) if event)
    return Moment(kind, first.time_ns, [*ids], sentence, QUESTIONS[kind])


def _result(event: AnalyzedEvent) -> str:
    if event.failed is None:
        return "has no known result"
    if event.kind == "test_run":
        return "had failed tests" if event.failed else "had no failed tests"
    return "exited with an error code" if event.failed else "exited with code 0"


def _within(first: AnalyzedEvent, last: AnalyzedEvent) -> str:
    """Return the time between two events, rounded up to minutes."""
    return f"within {format_minutes(max(1, -((first.time_ns - last.time_ns) // _MINUTE_NS)))}"


def _path(event: AnalyzedEvent, changes: dict[str, _Change]) -> str:
    return _quote(changes[event.id].place[1])


def _quote(value: Any) -> str:
    """Quote recorded text on one line. It cannot end the quotation."""
    line = (text(value) or "").replace("“", '"').replace("”", '"')
    return f"“{one_line(line, MAX_QUOTE_CHARACTERS)}”"
