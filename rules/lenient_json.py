"""Parse JSON from agents and providers, which can contain numbers that Python rejects."""

import json
from typing import Any

# Python rejects integers with more digits.
MAX_DIGITS = 4_300


def parse_json(text: str | bytes | bytearray) -> Any:
    """Parse JSON; integers with more than MAX_DIGITS digits become strings. Raises ValueError or RecursionError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=_parse_integer)


def _parse_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits
