"""Mask candidate keys, tokens and secrets in log lines and tracebacks."""

import logging
import re

from rules.api_tokens import PREFIX as TOKEN_PREFIX
from rules.api_tokens import RUNNER_PREFIX
from rules.candidate_keys import ALPHABET
from rules.delivery.webhook_signatures import PREFIX as WEBHOOK_PREFIX
from rules.sign_ins import BROWSER_PREFIX
from rules.sign_ins import PREFIX as SIGN_IN_PREFIX

_SECRET = re.compile(
    rf"(PST-[{ALPHABET}]{{4}}-)[{ALPHABET}]{{4}}|({TOKEN_PREFIX}|{RUNNER_PREFIX})[0-9A-Za-z]+"
    rf"|({WEBHOOK_PREFIX})[0-9A-Za-z+/=]+|({SIGN_IN_PREFIX}|{BROWSER_PREFIX}|/git/)[0-9A-Za-z_-]+",
    re.IGNORECASE,
)

# The pattern takes much longer to find nothing.
_PREFIXES = ("pst-", TOKEN_PREFIX, RUNNER_PREFIX, WEBHOOK_PREFIX, SIGN_IN_PREFIX, BROWSER_PREFIX, "/git/")


def mask_secrets(text: str) -> str:
    """Mask the secret part of each candidate key, token and secret in `text`."""
    lowered = text.lower()
    if not any(prefix in lowered for prefix in _PREFIXES):
        return text
    return _SECRET.sub(lambda match: f"{match[match.lastindex or 0]}****", text)


class MaskingFormatter(logging.Formatter):
    """Masks secrets in another formatter's output."""

    def __init__(self, formatter: logging.Formatter):
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return mask_secrets(self._formatter.format(record))
