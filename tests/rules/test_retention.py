"""Retention periods that a disclosure states, and anonymized metrics."""

import pytest

from rules.retention import anonymize_metrics, conflicting_lines


@pytest.mark.parametrize(
    ("line", "is_conflict"),
    [
        ("We keep it for 180 days", False),
        ("We delete the recording six months after your session", False),
        ("It is deleted 180 days from the session", False),
        ("Your data is deleted 180 days after the end of your session", False),
        ("Your data is deleted 180 days after the end of the process", True),
        ("We keep emails from you for 180 days", False),
        ("We keep the following for 180 days", False),
        ("Your data is deleted 180 days from our decision", True),
        ("Your data is deleted 180 days following our decision", True),
        ("It is erased six months after the decision", True),
        ("We store it for Twelve weeks", True),
        ("It is stored for 1 year", True),
        ("Seen by Acme for nine days", False),
    ],
)
def test_another_period_or_start_in_a_disclosure_is_a_conflict(line, is_conflict):
    assert conflicting_lines([line], 180) == [line] * is_conflict


def test_anonymized_metrics_exclude_tool_and_model_names():
    tokens = {"alice-model": {"input": 10, "output": 1}, "other": {"input": 5}}
    further = {"command_count": 3, "tool_usage": {"Bash": 3, "mcp__alice__notes": 2}, "tokens": tokens}
    anonymous = {"tool_usage": {"other": 5}, "tokens": {"other": {"input": 15, "output": 1}}}
    assert anonymize_metrics(further) == {"command_count": 3} | anonymous
    assert anonymize_metrics({"tool_usage": {}, "tokens": {}}) == {"tool_usage": {}, "tokens": {}}
