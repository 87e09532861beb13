"""When a session closes, and what its close means for what comes later (R17, R18)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.session_clock import close_as_of, closes_at, window

REDEEMED = datetime(2026, 4, 1, 9, tzinfo=UTC)
CLOSE = datetime(2026, 4, 1, 10, 35, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def test_the_limit_closes_after_five_minutes_of_grace():
    assert closes_at(REDEEMED, 90) == CLOSE


def test_extra_time_moves_the_close():
    assert closes_at(REDEEMED, 60, timedelta(minutes=30)) == CLOSE


def test_without_a_limit_nothing_closes_by_itself():
    assert closes_at(REDEEMED, None) is None
    assert closes_at(REDEEMED, None, timedelta(minutes=30)) is None


@pytest.mark.parametrize(
    ("now", "closed_at", "closes", "close"),
    [
        (CLOSE - MILLISECOND, None, CLOSE, None),
        (CLOSE, None, CLOSE, CLOSE),
        (CLOSE + timedelta(days=9), None, CLOSE, CLOSE),
        (CLOSE, None, None, None),
        (CLOSE, REDEEMED, None, REDEEMED),
        (CLOSE + timedelta(days=9), REDEEMED, CLOSE, REDEEMED),  # completed before the limit
    ],
)
def test_the_close_is_the_same_whoever_notices_it_and_when(now, closed_at, closes, close):
    assert close_as_of(now, closed_at, closes) == close


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(), "flush"),
        (timedelta(minutes=10) - MILLISECOND, "flush"),
        (timedelta(minutes=10) + MILLISECOND, "late"),
        (timedelta(hours=24) - MILLISECOND, "late"),
        (timedelta(hours=24) + MILLISECOND, "over"),
        (timedelta(days=300), "over"),
    ],
)
def test_the_windows_after_the_close(after, expected):
    assert window(CLOSE + after, CLOSE) == expected


def test_before_the_close_everything_counts():
    assert window(CLOSE, None) == "open"
