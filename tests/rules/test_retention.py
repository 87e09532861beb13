"""Retention deadlines and anonymized metrics."""

from datetime import UTC, datetime, timedelta

from rules.retention import anonymize_metrics, retention_deadline

END = datetime(2026, 4, 1, 9, tzinfo=UTC)


def test_the_deadline_is_the_end_plus_the_retention_period():
    assert retention_deadline(END, 30) == END + timedelta(days=30)
    assert retention_deadline(None, 30) is retention_deadline(END, None) is None


def test_tools_and_models_are_added_up_without_their_names():
    tokens = {"alice-model": {"input": 10, "output": 1}, "other": {"input": 5}}
    further = {"command_count": 3, "tool_usage": {"Bash": 3, "mcp__alice__notes": 2}, "tokens": tokens}
    anonymous = {"tool_usage": {"other": 5}, "tokens": {"other": {"input": 15, "output": 1}}}
    assert anonymize_metrics(further) == {"command_count": 3} | anonymous
    assert anonymize_metrics({"tool_usage": {}, "tokens": {}}) == {"tool_usage": {}, "tokens": {}}
