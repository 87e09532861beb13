"""Retry delays for emails and webhooks, and when to disable a failing webhook."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

# About three days: long enough for an email server to be down for a weekend.
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 1440))
# For a worker task that keeps failing for the same organization or session.
TASK_RETRY_DELAYS = RETRY_DELAYS[:3]
# Spreads webhooks that failed at the same time.
JITTER = 0.2
MAX_RETRY_AFTER = timedelta(days=1)
# After a failure, the receiver's other webhooks also wait.
RECEIVER_DELAY = timedelta(seconds=30)
# Between the last two retries of the first failed event, whatever the jitter.
DISABLE_AFTER = timedelta(hours=56)


class WebhookResponse(NamedTuple):
    """The result of a delivery attempt. Without a response, `failure` contains the reason."""

    status: int | None = None
    body: str | None = None
    retry_after: str | None = None
    failure: str | None = None
    duration_ms: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == 410

    @property
    def error(self) -> str | None:
        """Error message; None after a success."""
        if self.is_success:
            return None
        return self.failure or f"The receiver responded with {self.status}."


def retry_delay(attempts: int) -> timedelta | None:
    """Return the delay after this many attempts; None after the last attempt."""
    return RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) else None


def task_retry_delay(attempts: int) -> timedelta:
    """Return the delay after a task has failed this many times for the same owner."""
    return TASK_RETRY_DELAYS[min(attempts, len(TASK_RETRY_DELAYS)) - 1]


def webhook_retry_delay(
    attempts: int, response: WebhookResponse, now: datetime, random: float
) -> timedelta | None:
    """Return `retry_delay` with jitter, or the receiver's Retry-After if that is longer.

    random -- a number from 0 to 1 that shifts the delay by -20% to +20%
    """
    delay = retry_delay(attempts)
    if delay is None:
        return None
    return max(delay * (1 - JITTER + 2 * JITTER * random), parse_retry_after(response.retry_after, now))


def receiver_delay(response: WebhookResponse, now: datetime) -> timedelta:
    """Return how long to delay deliveries to the receiver after this failure."""
    return max(RECEIVER_DELAY, parse_retry_after(response.retry_after, now))


def parse_retry_after(value: str | None, now: datetime) -> timedelta:
    """Parse a Retry-After header. Returns at most a day, or zero if invalid."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), MAX_RETRY_AFTER.total_seconds()))
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return timedelta(0)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return min(max(time - now, timedelta(0)), MAX_RETRY_AFTER)


def should_disable_receiver(failing_since: datetime, now: datetime) -> bool:
    return now - failing_since >= DISABLE_AFTER
