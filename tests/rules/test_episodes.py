"""Runs of failures and how each of them ended, as the docstring of rules/episodes.py says."""

import json

import pytest
from readings import command, step

from rules import instants, metrics
from rules.analysis import analyse
from rules.episodes import episodes
from rules.steps import in_order, without_doubles


def endings(*steps):
    return [episode.ending for episode in episodes(steps)]


def test_a_session_without_failures_has_no_episodes():
    assert endings(command(0, "ls"), step(1, "prompt")) == []


def test_the_same_command_that_passes_has_been_fixed():
    assert endings(command(0, "make install", 2), command(1, "make install")) == ["fixed"]


def test_a_test_after_a_failed_test_is_a_fix_however_it_is_called():
    assert endings(command(0, "go test ./...", 1), command(1, "go test -run TestOne ./queue")) == ["fixed"]


def test_a_build_after_a_failed_test_is_none():
    assert endings(command(0, "go test ./...", 1), command(1, "go build ./...")) == ["moved_on"]


def test_what_passes_only_after_something_else_was_fixed_later():
    steps = [command(0, "make install", 2), command(1, "ls"), command(2, "make install")]
    assert endings(*steps) == ["fixed_later"]


def test_what_had_passed_before_it_failed_was_not_fixed():
    steps = [command(0, "make install"), command(1, "make install", 2), command(2, "ls")]
    assert endings(*steps) == ["moved_on"]


def test_what_nothing_follows_is_open():
    assert endings(command(0, "go test", 1), step(1, "file_diff")) == ["open"]


def test_the_last_failure_of_a_run_decides():
    steps = [command(0, "go test", 1), command(1, "make install", 2), command(2, "make install")]
    assert endings(*steps) == ["fixed"]


def test_test_runs_are_tests():
    failed, passed = ({"passed": 3, "failed": 1}, {"passed": 4, "failed": 0})
    assert endings(step(0, "test_run", failed), step(1, "test_run", passed)) == ["fixed"]
    assert endings(step(0, "test_run", failed), command(1, "pytest")) == ["fixed"]


def test_commands_whose_exit_code_nobody_knows_neither_fail_nor_pass():
    hook = {"methods": ["hook"]}
    steps = [command(0, "go test", 1), command(1, "go test", 0, provenance=hook), command(2, "ls", None)]
    assert endings(*steps) == ["open"]


def test_an_episode_tells_its_failures_its_end_and_what_lay_between():
    failures = [command(0, "go test", 1), command(20, "go test", 1)]
    between = [step(5, "file_diff"), step(10, "prompt"), step(30, "file_create")]
    success = command(40, "go test")
    steps = in_order([*failures, *between, success, step(50, "file_diff")])
    (episode,) = episodes(steps)
    assert (episode.failures, episode.ended_by, episode.duration_ms) == (failures, success, 40_000)
    assert (episode.changes, episode.prompts) == (2, 1)


def test_a_failure_shows_the_last_lines_of_its_output():
    data = {"command": "make", "exitCode": 1, "stdout": "one\n\n\x1b[31mtwo\x1b[0m\nthree\nfour\n"}
    assert step(0, "command", data).complaint == "two / three / four"
    assert step(0, "command", data | {"stderr": "worse"}).complaint == "worse"
    assert step(0, "command", data | {"exitCode": 0}).complaint is None


@pytest.mark.parametrize("codes", ["", "0", "1", "11", "0110", "10101", "0011100", "1100011"])
def test_there_are_as_many_as_the_metrics_count(codes):
    events = [
        {
            "id": f"{number}",
            "kind": "command",
            "ts": f"2026-04-01T09:00:{number:02}Z",
            "v": 1,
            "source": "terminal",
        }
        | {"data": {"command": f"step {code}", "exitCode": int(code)}}
        for number, code in enumerate(codes)
    ]
    timeline = [(instants.parse(event["ts"]), json.loads(json.dumps(event))) for event in events]
    assert len(analyse(timeline, None).episodes) == metrics.derive(timeline).error_episodes


def test_what_the_editor_reports_again_is_left_out():
    editor = {"channel": "ide-extension", "integration": "vscode"}
    again = command(1, "go test", 1, source=editor)
    assert without_doubles([command(0, "go test ./...", 1), again, step(2, "file_create", source=editor)])[
        1:
    ] == [step(2, "file_create", source=editor)]
    assert without_doubles([again]) == [again]
