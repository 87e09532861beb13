"""What a receiver's answer to a webhook means, and when the webhook is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from rules.deliveries import pause_after

GONE = 410
# So many deliveries that start again at the same moment would come at the same moment each time.
JITTER = 0.2
LONGEST_WAIT = timedelta(days=1)
# After a failure the other deliveries to the same receiver wait as well.
HOLD = timedelta(seconds=30)
# However the pauses are spread, it lies between the last but one try of the first message that failed and the last.
DISABLED_AFTER = timedelta(hours=56)


class Reply(NamedTuple):
    """What came of one try: `status` is None where there was no answer, and then `words` say why."""

    status: int | None = None
    answer: str | None = None
    retry_after: str | None = None
    words: str | None = None
    duration_ms: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == GONE

    @property
    def error(self) -> str | None:
        """What went wrong, for a person; None if nothing did."""
        if self.is_success:
            return None
        return self.words or f"The receiver answered {self.status}."


def next_pause(attempts: int, reply: Reply, now: datetime, share: float) -> timedelta | None:
    """How long to wait after that many attempts; None when it is time to give up.

    share -- a random number from 0 to 1, which spreads the pause by a fifth to both sides
    """
    pause = pause_after(attempts)
    if pause is None:
        return None
    spread = pause * (1 - JITTER + 2 * JITTER * share)
    return max(spread, wanted_wait(reply, now))


def hold(reply: Reply, now: datetime) -> timedelta:
    """How long nothing is sent to the receiver after this failure."""
    return max(HOLD, wanted_wait(reply, now))


def wanted_wait(reply: Reply, now: datetime) -> timedelta:
    """What the receiver asked for with Retry-After, in seconds or as a date; a day at most, zero for nonsense."""
    text = (reply.retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_WAIT.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return timedelta(0)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST_WAIT)


def is_hopeless(failing_since: datetime, now: datetime) -> bool:
    """Whether a receiver has failed for so long, without one success, that it is switched off."""
    return now - failing_since >= DISABLED_AFTER
