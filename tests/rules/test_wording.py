"""Plain words: lengths of time, moments, one line, a shortened text."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.wording import minutes_in_words, moment_in_words, one_line, shortened


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "1 minute"),
        (45, "45 minutes"),
        (60, "1 hour"),
        (61, "1 hour 1 minute"),
        (150, "2 hours 30 minutes"),
        (1440, "24 hours"),
    ],
)
def test_minutes_in_words(minutes, words):
    assert minutes_in_words(minutes) == words


def test_a_moment_never_promises_more_than_there_is():
    assert moment_in_words(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)) == "31 December 2026, 23:59 UTC"


def test_a_short_text_is_left_as_it_is():
    assert shortened("# Title\n\n    code\n- item", 100) == ("# Title\n\n    code\n- item", False)


@pytest.mark.parametrize(
    ("text", "limit", "beginning"),
    [
        ("One paragraph.\n\nAnother one.", 20, "One paragraph. ..."),
        ("One line.\nAnother line.", 15, "One line. ..."),
        ("One two three four", 10, "One two ..."),
        ("x" * 30, 10, "x" * 10 + " ..."),
        ("a\n\n" + "x" * 30, 10, "a\n\n" + "x" * 7 + " ..."),
    ],
)
def test_a_long_text_is_cut_where_it_hurts_least(text, limit, beginning):
    assert shortened(text, limit) == (beginning, True)


@given(text=st.text(), limit=st.integers(min_value=10, max_value=50))
def test_one_line_is_one_printable_line_within_its_limit(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
