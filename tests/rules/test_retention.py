"""Anonymized metrics."""

from rules.retention import anonymize_metrics


def test_anonymized_metrics_exclude_tool_and_model_names():
    tokens = {"alice-model": {"input": 10, "output": 1}, "other": {"input": 5}}
    further = {"command_count": 3, "tool_usage": {"Bash": 3, "mcp__alice__notes": 2}, "tokens": tokens}
    anonymous = {"tool_usage": {"other": 5}, "tokens": {"other": {"input": 15, "output": 1}}}
    assert anonymize_metrics(further) == {"command_count": 3} | anonymous
    assert anonymize_metrics({"tool_usage": {}, "tokens": {}}) == {"tool_usage": {}, "tokens": {}}
