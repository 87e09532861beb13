"""Sittings and turns."""

from analyzed import command, event

from rules.segments import split_sittings, split_turns

MINUTE = 60


def test_a_session_without_events_has_neither():
    assert split_sittings([]) == split_turns([]) == []


def test_a_gap_of_more_than_half_an_hour_ends_a_sitting():
    events = [event(at, "file_diff") for at in (0, 30 * MINUTE, 60 * MINUTE + 1)]
    assert [sitting.events for sitting in split_sittings(events)] == [2, 1]


def test_a_turn_lasts_from_prompt_to_prompt():
    events = [event(0, "session_start"), event(1, "prompt"), event(5, "file_diff"), event(9, "prompt")]
    turns = [(turn.start_ns // 10**9, turn.duration_ms, turn.events) for turn in split_turns(events)]
    assert turns == [(1, 4000, 2), (9, 0, 1)]


def test_a_segment_counts_its_events():
    prompts = event(1, "prompt", {"text": "Fix\nit"}), event(2, "prompt", {"text": "Go on"})
    commands = command(4, "go test", 1), command(5, "go test")
    events = [event(0, "session_start"), *prompts, event(3, "file_diff"), *commands]
    assert split_sittings(events) == [("session_start at 0", 0, 5 * 10**9, 5000, 6, 2, 1, 2, 1, "Fix it")]
