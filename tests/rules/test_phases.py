"""Time by phase (docs/metrics.md#analytics-of-a-session)."""

import pytest
from analyzed import command, event

from rules.phases import PHASES, measure_phases

MINUTE = 60


def seconds(*events):
    """Seconds by phase, without empty phases."""
    return {phase.name: phase.time_ms / 1000 for phase in measure_phases(events).phases if phase.time_ms}


@pytest.mark.parametrize(
    ("phase", "kinds"),
    [
        ("prompting", ["prompt", "decision_event", "plan_decision", "interrupt"]),
        ("reading", ["file_read", "file_search", "web_lookup", "editor_focus"]),
        ("changing", ["file_diff", "file_create", "editor_edit"]),
        ("verifying", ["test_run", "build_run"]),
        ("other", ["task_dispatch", "mcp_call"]),
        (None, ["tool_intent", "ai_response", "planning", "subagent_usage", "session_start", "unknown"]),
    ],
)
def test_a_kind_has_a_phase(phase, kinds):
    for kind in kinds:
        counts = {each.name: each.events for each in measure_phases([event(0, kind)]).phases}
        assert counts == {name: int(name == phase) for name in PHASES}


@pytest.mark.parametrize(
    ("text", "phase"),
    [("go test ./...", "verifying"), ("npm run lint", "verifying"), ("rg -n x", "reading"), ("git push", "other")],
)  # fmt: skip
def test_a_command_has_the_phase_of_what_it_does(text, phase):
    assert seconds(event(0, "prompt"), command(10, text)) == {phase: 10}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # The time before an event belongs to the event.
        ([event(0, "prompt"), event(10, "file_read"), event(25, "file_diff")], {"reading": 10, "changing": 15}),
        # Time of announcements and responses is carried to the next action.
        ([event(0, "prompt"), event(10, "ai_response"), event(12, "tool_intent"), event(15, "file_diff")],
         {"changing": 15}),
        # Without an action it is `other`.
        ([event(0, "file_diff"), event(20, "ai_response"), event(50, "prompt")], {"other": 20, "prompting": 30}),
        ([event(0, "prompt"), event(20, "ai_response")], {"other": 20}),
    ],
)  # fmt: skip
def test_time_is_attributed_to_phases(events, expected):
    assert seconds(*events) == expected


@pytest.mark.parametrize(
    ("pause", "active", "idle", "pauses"),
    [
        (5 * MINUTE, 300, 0, 0),
        (5 * MINUTE + 1, 300, 1, 1),
        (30 * MINUTE, 300, 1500, 1),
        (31 * MINUTE, 0, 1860, 0),
    ],
)
def test_a_pause_counts_for_at_most_five_minutes_and_a_break_not_at_all(pause, active, idle, pauses):
    times = measure_phases([event(0, "prompt"), event(pause, "prompt")])
    assert times[:3] == (pause * 1000, active * 1000, idle * 1000)
    assert [phase.pauses for phase in times.phases] == [pauses, 0, 0, 0, 0]


def test_shares_are_of_the_active_time():
    times = measure_phases([event(0, "prompt"), event(10, "file_read"), event(30, "file_diff")])
    assert [phase.share for phase in times.phases] == [0.0, 0.333, 0.667, 0.0, 0.0]
    times = measure_phases([event(0, "prompt")])
    assert (times[:3], {phase.share for phase in times.phases}) == ((0, 0, 0), {None})


def test_phases_and_idle_time_add_up_to_the_elapsed_time():
    kinds = [
        "prompt",
        "ai_response",
        "file_read",
        "tool_intent",
        "file_diff",
        "ai_response",
        "prompt",
        "prompt",
    ]
    times = measure_phases([event(number**4, kind) for number, kind in enumerate(kinds)])
    assert sum(phase.time_ms for phase in times.phases) == times.active_ms
    assert times.active_ms + times.idle_ms == times.elapsed_ms == 7**4 * 1000
