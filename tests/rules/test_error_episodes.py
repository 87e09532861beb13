"""Error episodes and their endings."""

import pytest
from analyzed import command, event

from rules.analyzed_events import without_editor_duplicates
from rules.error_episodes import find_error_episodes

EDITOR = {"channel": "ide-extension", "integration": "vscode"}
RED, GREEN = {"passed": 3, "failed": 1}, {"passed": 4, "failed": 0}


@pytest.mark.parametrize(
    ("events", "endings"),
    [
        ([command(0, "ls"), event(1, "prompt")], []),
        # The same command, or a verification of the same kind, passes next.
        ([command(0, "make install", 2), command(1, "make install")], ["fixed"]),
        ([command(0, "go test ./...", 1), command(1, "go test -run TestOne ./queue")], ["fixed"]),
        ([event(0, "test_run", RED), event(1, "test_run", GREEN)], ["fixed"]),
        ([event(0, "test_run", RED), command(1, "pytest")], ["fixed"]),
        # A build is not a fix of a test.
        ([command(0, "go test ./...", 1), command(1, "go build ./...")], ["moved_on"]),
        ([command(0, "make install", 2), command(1, "ls"), command(2, "make install")], ["fixed_later"]),
        # It had passed before it failed, not after.
        ([command(0, "make install"), command(1, "make install", 2), command(2, "ls")], ["moved_on"]),
        ([command(0, "go test", 1), event(1, "file_diff")], ["open"]),
        # The last failure of a run decides.
        ([command(0, "go test", 1), command(1, "make install", 2), command(2, "make install")], ["fixed"]),
        # Unknown exit codes are neither failures nor passes.
        ([command(0, "ls", 1), command(1, "ls", 0, provenance={"methods": ["hook"]}), command(2, "ls", None)],
         ["open"]),
    ],
)  # fmt: skip
def test_an_episode_has_an_ending(events, endings):
    assert [episode.ending for episode in find_error_episodes(events)] == endings


def test_an_episode_has_its_failures_end_and_counts_between():
    first, change, prompt = command(0, "go test", 1), event(5, "file_diff"), event(10, "prompt")
    second, creation, passed = command(20, "go test", 1), event(30, "file_create"), command(40, "go test")
    events = [first, change, prompt, second, creation, passed, event(50, "file_diff")]
    assert find_error_episodes(events) == [([first, second], passed, "fixed", 40_000, 2, 1)]


def test_a_failure_has_the_last_lines_of_its_output():
    data = {"command": "make", "exitCode": 1, "stdout": "one\n\n\x1b[31mtwo\x1b[0m\nthree\nfour\n"}
    assert event(0, "command", data).failure_output == "two / three / four"
    assert event(0, "command", data | {"stderr": "worse"}).failure_output == "worse"
    assert event(0, "command", data | {"exitCode": 0}).failure_output is None


def test_duplicates_of_the_editor_are_dropped():
    duplicate, creation = command(1, "go test", 1, source=EDITOR), event(2, "file_create", source=EDITOR)
    other = command(0, "go test ./...", 1)
    assert without_editor_duplicates([other, duplicate, creation]) == [other, creation]
    assert without_editor_duplicates([duplicate]) == [duplicate]
