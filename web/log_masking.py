"""No key, token or webhook's secret reaches a log, wherever in a line or a traceback it stands."""

import logging
import re

from rules.api_tokens import PREFIX
from rules.candidate_keys import ALPHABET
from rules.webhook_signatures import PREFIX as WEBHOOK_PREFIX

_SECRET = re.compile(
    rf"(PST-[{ALPHABET}]{{4}}-)[{ALPHABET}]{{4}}|({PREFIX})[0-9A-Za-z]+|({WEBHOOK_PREFIX})[0-9A-Za-z+/=]+",
    re.IGNORECASE,
)


# What a secret begins with, as `casefold()` shows it: a search for these costs a tenth of the expression's.
_MARKS = tuple(mark.casefold() for mark in ("PST-", PREFIX, WEBHOOK_PREFIX))


def masked(text: str) -> str:
    """The text with the secret part of every candidate key, token and webhook's secret in it made unreadable."""
    folded = text.casefold()
    if not any(mark in folded for mark in _MARKS):
        return text
    return _SECRET.sub(lambda found: f"{found[found.lastindex or 0]}****", text)


class MaskingFormatter(logging.Formatter):
    """Formats as another formatter does, and masks the result."""

    def __init__(self, formatter: logging.Formatter):
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return masked(self._formatter.format(record))


def mask(logger: logging.Logger) -> None:
    """Let every handler of the logger mask what it writes."""
    for handler in logger.handlers:
        if not isinstance(handler.formatter, MaskingFormatter):
            handler.setFormatter(MaskingFormatter(handler.formatter or logging.Formatter()))
