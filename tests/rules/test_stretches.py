"""Sittings and turns."""

from readings import command, step

from rules.stretches import sittings, turns

MINUTE = 60


def test_a_session_without_events_has_neither():
    assert sittings([]) == turns([]) == []


def test_half_an_hour_without_an_event_ends_a_sitting():
    steps = [step(0, "prompt"), step(30 * MINUTE, "file_diff"), step(60 * MINUTE + 1, "file_diff")]
    assert [sitting.events for sitting in sittings(steps)] == [2, 1]


def test_a_turn_goes_from_prompt_to_prompt():
    steps = [step(0, "session_start"), step(1, "prompt"), step(5, "file_diff"), step(9, "prompt")]
    assert [(turn.began // 10**9, turn.duration_ms, turn.events) for turn in turns(steps)] == [
        (1, 4000, 2),
        (9, 0, 1),
    ]


def test_a_stretch_says_what_happened_in_it():
    (sitting,) = sittings(
        [
            step(0, "session_start"),
            step(1, "prompt", {"text": "Fix\nit"}),
            step(2, "prompt", {"text": "Go on"}),
            step(3, "file_diff"),
            command(4, "go test", 1),
            command(5, "go test"),
        ]
    )
    assert (sitting.event_id, sitting.first_prompt, sitting.duration_ms) == (
        "session_start at 0",
        "Fix it",
        5000,
    )
    assert (sitting.events, sitting.prompts, sitting.changes) == (6, 2, 1)
    assert (sitting.commands, sitting.failed_commands) == (2, 1)
