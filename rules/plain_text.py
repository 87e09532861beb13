"""Format human-readable text: single lines, counts, dates and durations."""

import re
from datetime import UTC, datetime
from typing import Any

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_CONTROL = re.compile(f"[{_CONTROLS}]")
# Direction characters in a name would reorder the rest of the line, or make two names look the same.
_UNSAFE_IN_LINE = re.compile(f"[{_CONTROLS}\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# PostgreSQL cannot store NUL, and UTF-8 cannot encode lone surrogates.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ANSI_CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BLANKS = dict.fromkeys(filter(lambda code: chr(code).isspace(), range(0x3001)), " ")
# `event_line` reads this many input characters per output character: some are whitespace or escape codes.
_READ_FACTOR = 8


def one_line(text: str, max_characters: int) -> str:
    """Return the text on one line without control characters, safe in emails and logs."""
    line = " ".join(_UNSAFE_IN_LINE.sub(" ", text).split())
    return line if len(line) <= max_characters else line[: max_characters - 3].rstrip() + "..."


def clean_name(text: str, max_characters: int) -> str:
    """Return a name on one line, without control and direction characters."""
    return one_line(_UNSAFE_IN_LINE.sub("", " ".join(text.split())), max_characters)


def collapse_whitespace(text: str) -> str:
    """Like `" ".join(text.split())`, but without allocating a list of words."""
    text = text.translate(_BLANKS)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


def event_line(value: Any, max_characters: int) -> str | None:
    """Summarize an event's text in one line. Returns None if it is empty or not a string."""
    if not isinstance(value, str):
        return None
    start = value[: max_characters * _READ_FACTOR]
    line = " ".join(_CONTROL.sub(" ", _ANSI_CODE.sub("", start)).split())
    return to_storable(line + "…" * (len(start) < len(value)), max_characters) or None


def to_storable(text: str, max_characters: int) -> str:
    """Truncate the text, and replace characters that cannot be stored or sent."""
    return replace_unstorable(truncate(text, max_characters))


def replace_unstorable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def truncate(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def pluralize(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_date_time(time: datetime) -> str:
    """Format as `8 April 2026, 09:00 UTC`. Rounds down, so a deadline is never shown too late."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def format_minutes(minutes: int) -> str:
    """Format as `45 minutes`, `1 hour` or `2 hours 30 minutes`."""
    hours, rest = divmod(minutes, 60)
    parts = [pluralize(hours, "hour")] if hours else []
    if rest or not hours:
        parts.append(pluralize(rest, "minute"))
    return " ".join(parts)
