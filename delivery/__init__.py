"""What happens after the answer: messages to the outside world, and how they can fail.

A sender raises one of two failures. Their text is for a person who looks at the key or the webhook later:
one line, at most `WORDS_LIMIT` characters, with nothing of the settings in it.
"""

from rules.wording import one_line

WORDS_LIMIT = 500


class DeliveryFailure(Exception):
    """A message that did not go out; `words` say why."""

    def __init__(self, words: str) -> None:
        self.words = one_line(words, WORDS_LIMIT)
        super().__init__(self.words)


class TemporaryFailure(DeliveryFailure):
    """Worth another try later: the other side is away, busy, or our settings are wrong."""


class PermanentFailure(DeliveryFailure):
    """Refused for good: the same message will be refused again."""
