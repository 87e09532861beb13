"""Human-readable text: durations, dates, single lines."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.plain_text import (
    collapse_whitespace,
    format_date_time,
    format_minutes,
    one_line,
    truncate,
)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(1, "1 minute"), (45, "45 minutes"), (60, "1 hour"), (61, "1 hour 1 minute"), (150, "2 hours 30 minutes")],
)  # fmt: skip
def test_minutes_are_formatted_as_hours_and_minutes(minutes, text):
    assert format_minutes(minutes) == text


def test_a_deadline_is_never_overstated():
    assert format_date_time(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)) == "31 December 2026, 23:59 UTC"


def test_one_line_removes_control_and_direction_characters():
    for character in "\0\x1b\x7f\x9f\u061c\u200e\u200f\u2028\u202a\u202e\u2066\u2069\ud800":
        assert one_line(f"Acme{character}Ltd", 20) == "Acme Ltd", ascii(character)


@given(text=st.text(), limit=st.integers(min_value=10, max_value=50))
def test_one_line_returns_one_printable_line_within_the_limit(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    assert (one_line("x" * 10, 10), one_line("x" * 11, 10)) == ("x" * 10, "xxxxxxx...")
    assert (truncate("abcd", 4), truncate("abcde", 4)) == ("abcd", "abc…")


@given(st.text() | st.text(" \n\t\x1f\x85\u2003\u3000ab", max_size=30))
def test_collapse_whitespace_keeps_the_words(text):
    assert collapse_whitespace(text) == " ".join(text.split())


def test_collapse_whitespace_uses_little_memory():
    text = "a \n" * 500_000
    tracemalloc.start()
    collapse_whitespace(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(text)
