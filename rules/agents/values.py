"""Values sent by agents: any field may be missing or of any type."""

import hashlib
import json
from typing import Any

from rules.events.envelopes import INT64, integer

_DIGEST_CHARACTERS = 32


def digest(*texts: str) -> str:
    """A short digest of texts of any length."""
    joined = "\n".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:_DIGEST_CHARACTERS]


def text_of(value: Any) -> str | None:
    """The value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def integer_of(value: Any) -> int | None:
    """The integer, which agents also send as text; `true` is not one."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 19:
        return int(value)
    return integer(value, INT64)


def object_in(text: Any) -> dict[str, Any]:
    """The JSON object in a text; an empty one if there is none."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def named(**fields: Any) -> dict[str, Any]:
    """The fields that are known."""
    return {name: value for name, value in fields.items() if value is not None}
