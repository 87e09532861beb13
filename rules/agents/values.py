"""Parse values sent by agents. Any field can be missing or have any type."""

import hashlib
from typing import Any

from rules.events.envelopes import INT64, integer
from rules.lenient_json import parse_json

# An event's kind and data.
Event = tuple[str, dict[str, Any]]

_DIGEST_CHARACTERS = 32


def digest(*texts: str) -> str:
    joined = "\n".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:_DIGEST_CHARACTERS]


def nonempty_string(value: Any) -> str | None:
    """Return the value if it is a nonempty string, otherwise None."""
    return value if isinstance(value, str) and value else None


def parse_integer(value: Any) -> int | None:
    """Parse an integer, which can be sent as a string. `true` is not an integer."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 19:
        return int(value)
    return integer(value, INT64)


def parse_object(text: Any) -> dict[str, Any]:
    """Parse a JSON object. Returns {} for anything else."""
    try:
        value = parse_json(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def without_none(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
