"""A session's close and the windows after it (R17, R18)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.session_close import close_deadline, effective_close, extra_minutes, intake_window

REDEEMED = datetime(2026, 4, 1, 9, tzinfo=UTC)
CLOSE = datetime(2026, 4, 1, 10, 35, tzinfo=UTC)
MILLISECOND, MINUTE, DAY = timedelta(milliseconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize(("limit", "extra", "close"), [(90, 0, CLOSE), (60, 30, CLOSE), (None, 30, None)])
def test_the_deadline_is_the_limit_with_extra_time_and_five_minutes_of_grace(limit, extra, close):
    assert close_deadline(REDEEMED, limit, extra * MINUTE) == close


@pytest.mark.parametrize(
    ("limit", "minutes", "multiplier", "extra"),
    [
        (90, None, None, 0), (90, 15, None, 15), (90, None, 1500, 45), (7, None, 1001, 1), (None, None, 1500, 0),
    ],
)  # fmt: skip
def test_a_multiplier_is_rounded_up_to_whole_minutes(limit, minutes, multiplier, extra):
    assert extra_minutes(limit, minutes, multiplier) == extra


@pytest.mark.parametrize(
    ("now", "closed_at", "closes_at", "close"),
    [
        (CLOSE - MILLISECOND, None, CLOSE, None), (CLOSE, None, CLOSE, CLOSE), (CLOSE, None, None, None),
        # Completed before the limit.
        (CLOSE, REDEEMED, None, REDEEMED), (CLOSE + 9 * DAY, REDEEMED, CLOSE, REDEEMED),
    ],
)  # fmt: skip
def test_the_effective_close_does_not_depend_on_when_it_is_read(now, closed_at, closes_at, close):
    assert effective_close(now, closed_at, closes_at) == close


@pytest.mark.parametrize(
    ("boundary", "before", "after"),
    [(0 * MINUTE, "flush", "flush"), (10 * MINUTE, "flush", "late"), (DAY, "late", "over")],
)
def test_the_window_depends_on_the_time_since_the_close(boundary, before, after):
    assert intake_window(CLOSE + boundary, CLOSE) == before
    assert intake_window(CLOSE + boundary + MILLISECOND, CLOSE) == after
    assert intake_window(CLOSE + boundary, None) == "open"
