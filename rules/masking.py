"""Mask secrets of known formats in recorded events, before they are stored (R38).

Only formats with a fixed prefix are recognized: guesses would change the code that a record shows. Each pattern is
searched only in texts that contain its hint, and takes linear time.
"""

import re
from typing import Any, NamedTuple

from rules.candidate_keys import ALPHABET
from rules.envelopes import INT64

MARKER = "[masked]"
# As deep as a client's events may be (R27).
MAX_DEPTH = 32
TOO_DEEP = "[too deep]"
MAX_BEARER_CHARACTERS = 4_096
MAX_PRIVATE_KEY_CHARACTERS = 20_000

# The start of a word, also right after the escaped line break of a JSON text.
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
_NO_MORE = r"(?![A-Za-z0-9])"


class _Format(NamedTuple):
    """Secrets of one kind. `hint` is in each of their texts, in lower case."""

    hint: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, hint: str, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> "_Format":
        return cls(hint, re.compile(pattern, flags | re.ASCII))


_PEM_BODY = r"(?:[A-Za-z0-9+/=\s\\:,]|-(?!----)){40,%d}" % MAX_PRIVATE_KEY_CHARACTERS
_FORMATS = (
    # Candidate keys, and the tokens of this service
    _Format.of("pst-", rf"PST-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", re.IGNORECASE),
    _Format.of("psk_live_", r"psk_live_[0-9A-Za-z]{20,}"),
    _Format.of("whsec_", r"whsec_[0-9A-Za-z+/=]{20,}"),
    # Model providers
    _Format.of("sk-", rf"{_START}sk-(?:ant|proj|svcacct|admin|or|lf)-[\w-]{{20,}}"),
    _Format.of("sk-", rf"{_START}sk-[A-Za-z0-9]{{32,}}{_NO_MORE}"),
    _Format.of("gsk_", rf"{_START}gsk_[A-Za-z0-9]{{40,}}"),
    _Format.of("xai-", rf"{_START}xai-[A-Za-z0-9]{{40,}}"),
    _Format.of("hf_", rf"{_START}hf_[A-Za-z0-9]{{30,}}"),
    # Clouds, forges, registries, payment and chat services
    _Format.of("akia", rf"{_START}AKIA[0-9A-Z]{{16}}{_NO_MORE}"),
    _Format.of("asia", rf"{_START}ASIA[0-9A-Z]{{16}}{_NO_MORE}"),
    _Format.of(
        "aws_secret_access_key",
        r"(?<=aws_secret_access_key)['\"]?[ \t]{0,4}[=:][ \t]{0,4}['\"]?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
        re.IGNORECASE,
    ),
    _Format.of("gh", rf"{_START}gh[opsur]_[A-Za-z0-9]{{36,}}"),
    _Format.of("github_pat_", rf"{_START}github_pat_\w{{22,}}"),
    _Format.of("gl", rf"{_START}gl(?:pat|ptt|dt|rt|soat|cbt|agent|ft)-[\w-]{{20,}}"),
    _Format.of("xox", rf"{_START}xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{{10,}}"),
    _Format.of("xapp-", rf"{_START}xapp-[A-Za-z0-9-]{{10,}}"),
    _Format.of("hooks.slack.com", r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{20,}"),
    _Format.of("_live_", rf"{_START}[prs]k_live_[A-Za-z0-9]{{16,}}"),
    _Format.of("_test_", rf"{_START}[prs]k_test_[A-Za-z0-9]{{16,}}"),
    _Format.of("aiza", rf"{_START}AIza[\w-]{{35}}(?![\w-])"),
    _Format.of("ya29.", rf"{_START}ya29\.[\w-]{{20,}}"),
    _Format.of("gocspx-", rf"{_START}GOCSPX-[\w-]{{20,}}"),
    _Format.of("npm_", rf"{_START}npm_[A-Za-z0-9]{{36}}{_NO_MORE}"),
    _Format.of("pypi-", rf"{_START}pypi-[\w-]{{50,}}"),
    _Format.of("sg.", rf"{_START}SG\.[\w-]{{20,24}}\.[\w-]{{40,46}}"),
    _Format.of("dop_v1_", rf"{_START}dop_v1_[a-f0-9]{{64}}"),
    # A run of these characters starts once, so that each is read at most three times.
    _Format.of("eyj", rf"{_START}eyJ[\w-]{{8,}}\.eyJ[\w-]{{8,}}\.[\w-]{{8,}}"),
    _Format.of(
        "authorization",
        r"(?<=authorization)['\"]?[ \t]{0,4}[:=][ \t]{0,4}['\"]?(?:bearer|basic|token)[ \t]{1,4}"
        rf"[\w.~+/=-]{{16,{MAX_BEARER_CHARACTERS}}}",
        re.IGNORECASE,
    ),
    _Format.of(
        "private key",
        rf"(?<=-----BEGIN )[A-Z0-9 ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----{_PEM_BODY}"
        r"(?:-----END [A-Z0-9 ]{0,40}-----)?",
    ),
)


def mask(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A JSON value with masked strings, also in the names of members.

    The result can be stored as an event: numbers that JSON or a column cannot hold are None, and what is nested deeper
    than `depth` is replaced.
    """
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict | list | tuple) and depth <= 0:
        return TOO_DEEP
    if isinstance(value, dict):
        return {mask_text(str(name)): mask(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item, depth - 1) for item in value]
    return _number(value)


def mask_text(text: str) -> str:
    """The text with MARKER in place of each secret."""
    lower = text.lower()
    for known in _FORMATS:
        if known.hint in lower:
            text = known.pattern.sub(MARKER, text)
    return text


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, bool) or value is None:
        return value
    return value if isinstance(value, int) and value in INT64 else None
