"""Deliver messages in the background."""

from rules.plain_text import one_line

MAX_REASON_CHARACTERS = 500


class DeliveryFailure(Exception):
    """A message was not delivered. `reason` is one line without secrets, shown to reviewers."""

    def __init__(self, reason: str) -> None:
        self.reason = one_line(reason, MAX_REASON_CHARACTERS)
        super().__init__(self.reason)


class TemporaryFailure(DeliveryFailure):
    """A retry can succeed: the peer is unavailable or busy, or a setting is invalid."""


class PermanentFailure(DeliveryFailure):
    """A retry would be rejected again."""
