"""Work after the response: deliver messages, and describe how delivery failed.

The reason of a failure is shown to reviewers: one line, truncated, without secrets.
"""

from rules.plain_text import one_line

MAX_REASON_CHARACTERS = 500


class DeliveryFailure(Exception):
    """A message was not delivered; `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = one_line(reason, MAX_REASON_CHARACTERS)
        super().__init__(self.reason)


class TemporaryFailure(DeliveryFailure):
    """The message can be retried: the peer is unavailable or busy, or a setting is wrong."""


class PermanentFailure(DeliveryFailure):
    """The message was rejected, and would be rejected again."""
