"""Where a session's time went, as the docstring of rules/phases.py says."""

import pytest
from readings import command, step

from rules import phases

MINUTE, HOUR = 60, 3600


def seconds(*steps):
    """Seconds by phase, without the phases that have none."""
    return {phase.name: phase.time_ms / 1000 for phase in phases.times(steps).phases if phase.time_ms}


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        ("prompt", "prompting"),
        ("decision_event", "prompting"),
        ("plan_decision", "prompting"),
        ("interrupt", "prompting"),
        ("file_read", "reading"),
        ("file_search", "reading"),
        ("web_lookup", "reading"),
        ("editor_focus", "reading"),
        ("file_diff", "changing"),
        ("file_create", "changing"),
        ("editor_edit", "changing"),
        ("test_run", "verifying"),
        ("build_run", "verifying"),
        ("task_dispatch", "other"),
        ("mcp_call", "other"),
        ("tool_intent", None),
        ("ai_response", None),
        ("planning", None),
        ("subagent_usage", None),
        ("session_start", None),
        ("heard_of_by_nobody", None),
    ],
)
def test_each_kind_has_its_phase(kind, phase):
    assert phases.phase_of(step(0, kind)) == phase


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("go test ./...", "verifying"),
        ("npm run lint", "verifying"),
        ("rg -n queue src", "reading"),
        ("git push", "other"),
    ],
)
def test_a_command_is_what_it_does(text, phase):
    assert phases.phase_of(command(0, text)) == phase


def test_the_time_before_an_event_is_the_events():
    assert seconds(
        step(0, "prompt"), step(10, "file_read"), step(25, "file_diff"), command(65, "go test")
    ) == {
        "reading": 10,
        "changing": 15,
        "verifying": 40,
    }


def test_announcements_and_answers_lead_to_the_action_that_follows():
    steps = [step(0, "prompt"), step(10, "ai_response"), step(12, "tool_intent"), step(15, "file_diff")]
    assert seconds(*steps) == {"changing": 15}


def test_an_answer_before_a_prompt_led_to_nothing():
    steps = [step(0, "file_diff"), step(20, "ai_response"), step(50, "prompt")]
    assert seconds(*steps) == {"other": 20, "prompting": 30}


def test_an_answer_at_the_end_led_to_nothing():
    assert seconds(step(0, "prompt"), step(20, "ai_response")) == {"other": 20}


def test_a_pause_counts_up_to_five_minutes():
    times = phases.times([step(0, "prompt"), step(20 * MINUTE, "prompt"), step(25 * MINUTE, "file_diff")])
    assert (times.elapsed_ms, times.active_ms, times.idle_ms) == (1_500_000, 600_000, 900_000)
    pauses = {phase.name: phase.pauses for phase in times.phases}
    assert (pauses["prompting"], pauses["changing"]) == (1, 0)


def test_a_break_between_sittings_does_not_count_at_all():
    times = phases.times([step(0, "prompt"), step(2 * HOUR, "prompt")])
    assert (times.active_ms, times.idle_ms) == (0, 2 * HOUR * 1000)
    assert not any(phase.pauses for phase in times.phases)


def test_shares_are_of_the_active_time():
    times = phases.times([step(0, "prompt"), step(10, "file_read"), step(30, "file_diff")])
    assert {phase.name: phase.share for phase in times.phases} == {
        "prompting": 0.0,
        "reading": 0.333,
        "changing": 0.667,
        "verifying": 0.0,
        "other": 0.0,
    }


def test_a_session_of_one_event_has_no_time():
    times = phases.times([step(0, "prompt")])
    assert (times.elapsed_ms, times.active_ms, times.idle_ms) == (0, 0, 0)
    assert {phase.share for phase in times.phases} == {None}
    assert [phase.events for phase in times.phases] == [1, 0, 0, 0, 0]


def test_phases_and_idle_time_are_all_of_the_time():
    kinds = [
        "prompt",
        "ai_response",
        "file_read",
        "tool_intent",
        "file_diff",
        "ai_response",
        "prompt",
        "task_dispatch",
    ]
    times = phases.times([step(number**4, kind) for number, kind in enumerate(kinds)])
    assert sum(phase.time_ms for phase in times.phases) == times.active_ms
    assert times.active_ms + times.idle_ms == times.elapsed_ms == 7**4 * 1000
