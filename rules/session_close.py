"""Compute when a session closes, and how later events are handled (R17, R18)."""

from datetime import datetime, timedelta

GRACE = timedelta(minutes=5)
FLUSH_WINDOW = timedelta(minutes=10)
LATE_WINDOW = timedelta(hours=24)


def close_deadline(redeemed_at: datetime, limit_minutes: int | None, extra: timedelta) -> datetime | None:
    """Return the end of the time limit, including extra time and the grace period; None without a limit."""
    return None if limit_minutes is None else redeemed_at + timedelta(minutes=limit_minutes) + extra + GRACE


def extra_minutes(limit_minutes: int | None, extra: int | None, multiplier_thousandths: int | None) -> int:
    """Return the extra time granted by an accommodation, rounded up to whole minutes."""
    if limit_minutes is None or multiplier_thousandths is None:
        return extra or 0
    return -(-limit_minutes * (multiplier_thousandths - 1000) // 1000)


def effective_close(now: datetime, closed_at: datetime | None, closes_at: datetime | None) -> datetime | None:
    """Return when the session closed, even if that is not recorded yet; None if it is open."""
    if closed_at is not None:
        return closed_at
    return closes_at if closes_at is not None and closes_at <= now else None


def intake_window(now: datetime, close: datetime | None) -> str:
    """Classify an event received at `now`.

    `open`: it counts. `flush`: it counts, and the metrics are recomputed. `late`: stored only. `over`: rejected.
    """
    if close is None:
        return "open"
    if now <= close + FLUSH_WINDOW:
        return "flush"
    return "late" if now <= close + LATE_WINDOW else "over"
