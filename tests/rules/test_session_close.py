"""A session's close and the windows after it (R17, R18)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.session_close import effective_close, intake_window

REDEEMED = datetime(2026, 4, 1, 9, tzinfo=UTC)
CLOSE = datetime(2026, 4, 1, 10, 35, tzinfo=UTC)
MILLISECOND, MINUTE, DAY = timedelta(milliseconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "closed_at", "closes_at", "close"),
    [
        (CLOSE - MILLISECOND, None, CLOSE, None), (CLOSE, None, CLOSE, CLOSE), (CLOSE, None, None, None),
        # Completed before the limit.
        (CLOSE, REDEEMED, None, REDEEMED), (CLOSE + 9 * DAY, REDEEMED, CLOSE, REDEEMED),
    ],
)  # fmt: skip
def test_the_effective_close_is_constant_once_reached(now, closed_at, closes_at, close):
    assert effective_close(now, closed_at, closes_at) == close


@pytest.mark.parametrize(
    ("boundary", "before", "after"),
    [(0 * MINUTE, "flush", "flush"), (10 * MINUTE, "flush", "late"), (DAY, "late", "over")],
)
def test_intake_windows_end_to_the_millisecond(boundary, before, after):
    assert intake_window(CLOSE + boundary, CLOSE) == before
    assert intake_window(CLOSE + boundary + MILLISECOND, CLOSE) == after
    assert intake_window(CLOSE + boundary, None) == "open"
