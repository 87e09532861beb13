"""When a session closes, and what its close means for what arrives later (R17, R18)."""

from datetime import datetime, timedelta

GRACE = timedelta(minutes=5)
COUNTED_AFTER_CLOSE = timedelta(minutes=10)
STORED_AFTER_CLOSE = timedelta(hours=24)


def closes_at(
    redeemed_at: datetime, limit_minutes: int | None, extra: timedelta = timedelta()
) -> datetime | None:
    """The limit's close: redeem + limit (+ extra time) + grace; None without a limit."""
    return None if limit_minutes is None else redeemed_at + timedelta(minutes=limit_minutes) + extra + GRACE


def extra_minutes(limit_minutes: int | None, extra: int | None, multiplier_thousandths: int | None) -> int:
    """What an accommodation adds to the limit: minutes, or a part of the limit that is rounded up to whole ones, as
    the candidate is told whole minutes."""
    if limit_minutes is None or multiplier_thousandths is None:
        return extra or 0
    return -(-limit_minutes * (multiplier_thousandths - 1000) // 1000)


def close_as_of(now: datetime, closed_at: datetime | None, closes_at: datetime | None) -> datetime | None:
    """The moment of the close if there has been one by `now`, whether or not somebody has noticed it."""
    if closed_at is not None:
        return closed_at
    return closes_at if closes_at is not None and closes_at <= now else None


def window(now: datetime, close: datetime | None) -> str:
    """`open` (it counts), `flush` (it counts, and metrics are due again), `late` (stored only) or `over` (refused)."""
    if close is None:
        return "open"
    if now <= close + COUNTED_AFTER_CLOSE:
        return "flush"
    return "late" if now <= close + STORED_AFTER_CLOSE else "over"
