"""Parse JSON from agents and providers, which can contain numbers and nesting that Python rejects."""

import json
import re
from typing import Any

# Python rejects integers with more digits.
MAX_DIGITS = 4_300
# The optional quote keeps this linear: an unterminated string matches to the end.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


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


def flatten(text: str, max_depth: int) -> str:
    """Replace each value that is nested deeper with a string that contains its JSON. Does not check the JSON."""
    if text.count("{") + text.count("[") <= max_depth:
        return text
    parts: list[str] = []
    depth = start = end = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in ("{", "["):
            depth += 1
            if depth == max_depth + 1:
                start = match.start()
        elif match[0] in ("}", "]"):
            if depth == max_depth + 1:
                parts += text[end:start], json.dumps(text[start : match.end()])
                end = match.end()
            depth -= 1
    return "".join([*parts, text[end:]])
