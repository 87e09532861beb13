"""When a message that could not be delivered is tried again."""

from datetime import timedelta

# Growing pauses for about three days: a mail server's reboot costs a minute, a weekend's outage no invitation.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 1440))


def pause_after(attempts: int) -> timedelta | None:
    """The pause after that many attempts, or None when it is time to give up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
