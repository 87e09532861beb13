"""Until when is kept what is known of a candidate, and which names go from a session's numbers."""

from datetime import UTC, datetime, timedelta

from rules import retention

END = datetime(2026, 4, 1, 9, tzinfo=UTC)


def test_it_is_kept_for_the_days_of_the_retention():
    assert retention.kept_until(END, 30) == END + timedelta(days=30)


def test_without_an_end_or_a_retention_there_is_no_date():
    assert retention.kept_until(None, 30) is None
    assert retention.kept_until(END, None) is None


def test_the_earliest_of_the_moments_that_are_known():
    assert retention.earliest([None, END, END - timedelta(days=1)]) == END - timedelta(days=1)
    assert retention.earliest([None]) is None


def test_names_of_tools_and_models_become_one_sum():
    further = {
        "command_count": 3,
        "tool_usage": {"Bash": 3, "mcp__alice__notes": 2},
        "tokens": {"alice-model": {"input": 10, "output": 1}, "other": {"input": 5}},
    }
    assert retention.without_names(further) == {
        "command_count": 3,
        "tool_usage": {"other": 5},
        "tokens": {"other": {"input": 15, "output": 1}},
    }


def test_where_nothing_was_used_nothing_is_summed():
    assert retention.without_names({"tool_usage": {}, "tokens": {}}) == {"tool_usage": {}, "tokens": {}}
