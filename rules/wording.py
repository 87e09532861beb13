"""Plain words for people: one safe line, a shortened text, a moment, a length of time."""

import re
import unicodedata
from datetime import UTC, datetime

# Controls, lone surrogates, line and paragraph separators.
BREAKING_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# They turn the order of the text after them around, so that a name could rewrite the line it stands in.
DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, without controls or runs of white space."""
    safe = "".join(" " if _breaks_a_line(character) else character for character in text)
    line = " ".join(safe.split())
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def shortened(text: str, limit: int) -> tuple[str, bool]:
    """The beginning of a text, cut at a paragraph, a line or a word if that keeps half of it; was it cut?"""
    text = "\n".join(line.rstrip() for line in _printable(text).strip().splitlines())
    if len(text) <= limit:
        return text, False
    head = text[:limit]
    cuts = (head.rfind(separator) for separator in ("\n\n", "\n", " "))
    cut = next((position for position in cuts if position >= limit // 2), limit)
    return head[:cut].rstrip() + " ...", True


def moment_in_words(moment: datetime) -> str:
    """`8 April 2026, 09:00 UTC`, from an aware moment; seconds are dropped, so it never promises more."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def minutes_in_words(minutes: int) -> str:
    """`45 minutes`, `1 hour`, `2 hours 30 minutes`."""
    hours, rest = divmod(minutes, 60)
    parts = [_counted(hours, "hour")] if hours else []
    if rest or not hours:
        parts.append(_counted(rest, "minute"))
    return " ".join(parts)


def _breaks_a_line(character: str) -> bool:
    return unicodedata.category(character) in BREAKING_CATEGORIES or character in DIRECTION_OVERRIDES


def _printable(text: str) -> str:
    """Without the controls that mean nothing in a mail, and without what UTF-8 cannot hold."""
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
