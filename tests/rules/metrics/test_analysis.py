"""A session's analysis. Times are in seconds."""

import pytest

from rules.metrics.analysis import analyze
from rules.metrics.analyzed_events import read_event
from rules.metrics.error_episodes import find_error_episodes
from rules.metrics.phases import PHASES, measure_phases, phase_spans
from rules.metrics.segments import split_turns, split_work_periods

MINUTE = 60
RED, GREEN, EMPTY = {"passed": 3, "failed": 1}, {"passed": 4, "failed": 0}, {"passed": 0, "failed": 0}


def event(at, kind, data=None, **fields):
    """Read an event from Claude Code's transcript, which reports real exit codes."""
    envelope = {"id": f"{kind} at {at}", "kind": kind, "source": "claude-code", "data": data or {}} | fields
    return read_event(int(at * 10**9), envelope, details=True)


def command(at, text, exit_code=0, **fields):
    return event(at, "command", {"command": text, "exitCode": exit_code}, **fields)


@pytest.mark.parametrize(
    ("phase", "kinds"),
    [
        ("prompting", "prompt decision_event plan_decision interrupt"),
        ("reading", "file_read file_search dir_list web_lookup planning_read editor_focus"),
        ("changing", "file_diff file_create file_delete editor_edit"), ("verifying", "test_run build_run"),
        ("other", "tool_use mcp_call tool_call task_dispatch subagent_stop"),
        (None, "tool_intent ai_response planning subagent_usage session_start unknown"),
    ],
)  # fmt: skip
def test_kinds_belong_to_phases(phase, kinds):
    for kind in kinds.split():
        counts = {
            measurement.name: measurement.events for measurement in measure_phases([event(0, kind)]).phases
        }
        assert counts == {name: int(name == phase) for name in PHASES}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # The time before an event belongs to the event.
        ([event(0, "prompt"), event(10, "file_read"), event(25, "file_diff")], {"reading": 10, "changing": 15}),
        # A command's phase depends on its text.
        ([event(0, "prompt"), command(10, "go test ./..."), command(15, "npm run lint")], {"verifying": 15}),
        ([event(0, "prompt"), command(10, "rg -n queue"), command(15, "git push")], {"reading": 10, "other": 5}),
        # The time of intents and responses is carried over to the next action.
        ([event(0, "prompt"), event(10, "ai_response"), event(12, "tool_intent"), event(15, "file_diff")],
         {"changing": 15}),
        # Without an action, it belongs to `other`.
        ([event(0, "file_diff"), event(20, "ai_response"), event(50, "prompt")], {"other": 20, "prompting": 30}),
        ([event(0, "prompt"), event(20, "ai_response")], {"other": 20}),
    ],
)  # fmt: skip
def test_time_is_attributed_to_phases(events, expected):
    phases = measure_phases(events).phases
    assert {phase.name: phase.time_ms / 1000 for phase in phases if phase.time_ms} == expected


@pytest.mark.parametrize(
    ("pause", "active", "idle", "pauses"),
    [(5 * MINUTE, 300, 0, 0), (5 * MINUTE + 1, 300, 1, 1), (30 * MINUTE, 300, 1500, 1), (31 * MINUTE, 0, 1860, 0)],
)  # fmt: skip
def test_pauses_are_capped_and_breaks_are_ignored(pause, active, idle, pauses):
    times = measure_phases([event(0, "prompt"), event(pause, "prompt")])
    assert times[:3] == (pause * 1000, active * 1000, idle * 1000)
    assert [phase.pauses for phase in times.phases] == [pauses, 0, 0, 0, 0]


def test_shares_are_relative_to_active_time():
    times = measure_phases([event(0, "prompt"), event(10, "file_read"), event(30, "file_diff")])
    assert [phase.share for phase in times.phases] == [0.0, 0.333, 0.667, 0.0, 0.0]
    times = measure_phases([event(0, "prompt")])
    assert (times[:3], {phase.share for phase in times.phases}) == ((0, 0, 0), {None})


def test_phases_and_idle_time_add_up_to_the_elapsed_time():
    kinds = ["prompt", "ai_response", "file_read", "tool_intent", "file_diff", "ai_response", "prompt"]
    times = measure_phases([event(number**4, kind) for number, kind in enumerate(kinds, 1)])
    assert sum(phase.time_ms for phase in times.phases) == times.active_ms
    assert times.active_ms + times.idle_ms == times.elapsed_ms == (7**4 - 1) * 1000


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([event(0, "prompt"), event(10, "file_read"), event(15, "file_read"), event(25, "file_diff")],
         [("reading", 0, 15), ("changing", 15, 25)]),
        ([event(0, "file_diff"), event(20, "ai_response"), event(50, "prompt")],
         [("other", 0, 20), ("prompting", 20, 50)]),
        # A span includes pauses, but not breaks.
        ([event(0, "prompt"), event(1200, "file_diff"), event(7200, "file_diff"), event(7201, "file_diff")],
         [("changing", 0, 1200), ("changing", 7200, 7201)]),
    ],
)  # fmt: skip
def test_consecutive_gaps_in_a_phase_form_one_span(events, expected):
    spans = [(span.name, span.start_ns / 1e9, span.end_ns / 1e9) for span in phase_spans(events)]
    assert spans == expected


def test_a_gap_over_half_an_hour_ends_a_work_period():
    events = [event(at, "file_diff") for at in (0, 30 * MINUTE, 60 * MINUTE + 1)]
    assert [period.events for period in split_work_periods(events)] == [2, 1]
    assert split_work_periods([]) == split_turns([]) == []


def test_a_turn_lasts_from_prompt_to_prompt():
    events = [event(0, "session_start"), event(1, "prompt"), event(5, "file_diff"), event(9, "prompt")]
    turns = [(turn.start_ns // 10**9, turn.duration_ms, turn.events) for turn in split_turns(events)]
    assert turns == [(1, 4000, 2), (9, 0, 1)]


def test_a_segment_counts_its_events():
    prompts = event(1, "prompt", {"text": "Fix\nit"}), event(2, "prompt", {"text": "Go on"})
    commands = command(4, "go test", 1), command(5, "go test")
    events = [event(0, "session_start"), *prompts, event(3, "file_diff"), *commands]
    assert split_work_periods(events) == [("session_start at 0", 0, 5 * 10**9, 5000, 6, 2, 1, 2, 1, "Fix it")]


@pytest.mark.parametrize(
    ("events", "endings"),
    [
        ([command(0, "ls"), event(1, "prompt")], []),
        # The same command or a verification of the same kind passes next.
        ([command(0, "make install", 2), command(1, "make install")], ["fixed"]),
        ([command(0, "go test ./...", 1), command(1, "go test -run TestOne ./queue")], ["fixed"]),
        ([event(0, "test_run", RED), event(1, "test_run", GREEN)], ["fixed"]),
        ([event(0, "test_run", RED), command(1, "pytest")], ["fixed"]),
        # A run without tests has not passed.
        ([event(0, "test_run", RED), event(1, "test_run", EMPTY)], ["open"]),
        ([event(0, "test_run", RED), event(1, "test_run", EMPTY), event(2, "test_run", GREEN)], ["fixed"]),
        # A build does not fix a test.
        ([command(0, "go test ./...", 1), command(1, "go build ./...")], ["moved_on"]),
        ([command(0, "make install", 2), command(1, "ls"), command(2, "make install")], ["fixed_later"]),
        # It passed before the failure, not after.
        ([command(0, "make install"), command(1, "make install", 2), command(2, "ls")], ["moved_on"]),
        ([command(0, "go test", 1), event(1, "file_diff")], ["open"]),
        # The last failure decides.
        ([command(0, "go test", 1), command(1, "make install", 2), command(2, "make install")], ["fixed"]),
        # Unknown exit codes are neither failures nor passes.
        ([command(0, "ls", 1), command(1, "ls", 0, provenance={"methods": ["hook"]}), command(2, "ls", None)],
         ["open"]),
    ],
)  # fmt: skip
def test_episodes_are_classified_by_ending(events, endings):
    assert [episode.ending for episode in find_error_episodes(events)] == endings


def test_a_run_without_tests_has_not_passed():
    runs = [
        {"id": str(at), "kind": "test_run", "source": "cli", "data": data}
        for at, data in enumerate((GREEN, EMPTY, RED))
    ]
    analysis = analyze(enumerate(runs), {})
    assert [verification.passed for verification in analysis.verifications] == [True, None, False]


def test_episodes_include_failures_end_and_counts():
    first, change, prompt = command(0, "go test", 1), event(5, "file_diff"), event(10, "prompt")
    second, creation, passed = command(20, "go test", 1), event(30, "file_create"), command(40, "go test")
    events = [first, change, prompt, second, creation, passed, event(50, "file_diff")]
    assert find_error_episodes(events) == [([first, second], passed, "fixed", 40_000, 2, 1)]


def test_failures_include_the_last_lines_of_output():
    data = {"command": "make", "exitCode": 1, "stdout": "one\n\n\x1b[31mtwo\x1b[0m\nthree\nfour\n"}
    assert event(0, "command", data).failure_output == "two / three / four"
    assert event(0, "command", data | {"stderr": "worse"}).failure_output == "worse"
    assert event(0, "command", data | {"exitCode": 0}).failure_output is None
