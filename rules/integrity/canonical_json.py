"""Canonical JSON of an event's data, as signed by the client (contract 7).

The client is a Go program that canonicalizes values in memory and sends the envelope with Go's JSON encoder. Two
details cannot be determined from the envelope, so the server tries all VARIANTS:

- The client can escape `<`, `>` and `&`. Current versions do, but later ones might not.
- The client might have parsed the value from JSON, which it does to mask secrets. If so, all numbers are doubles, and
  invalid characters are U+FFFD. Otherwise, integers have 64 bits, and invalid characters (left by truncation) are
  `\\ufffd` in the envelope and in the canonical form.
"""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from rules.events.envelopes import INT64


class Variant(NamedTuple):
    escapes_html: bool
    read_from_json: bool


VARIANTS = (Variant(True, False), Variant(False, False), Variant(True, True), Variant(False, True))
MAX_PARTS = 200_000  # about 100,000 values, more than any client sends

# Replaces a literal U+FFFD while parsing, to distinguish it from an escaped one (`\ufffd`). Lone surrogates also become
# U+FFFD, as in Go.
_LITERAL_REPLACEMENT = "\udfff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_HTML = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
_ALWAYS_ESCAPED = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def parse(text: str) -> Any:
    """Parse JSON for `canonicalize`.

    Raises ValueError if the text is not JSON, and RecursionError if it is nested too deeply.
    """
    return json.loads(text.replace("\ufffd", _LITERAL_REPLACEMENT), parse_constant=_reject_constant)


def replace_surrogates(text: str) -> str:
    """Replace surrogates in a string from `parse` with U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def canonicalize(value: Any, variant: Variant = VARIANTS[0]) -> bytes:
    """Return the canonical form of a value from `parse`, encoded as UTF-8.

    Raises ValueError if a number exceeds a double's range, or if there are more than MAX_PARTS parts.
    """
    parts: list[str] = []

    def write(part: str) -> None:
        if len(parts) == MAX_PARTS:
            raise ValueError("The data has too many values.")
        parts.append(part)

    _write(value, variant, write)
    return "".join(parts).encode()


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number.")


def _write(value: Any, variant: Variant, write: Callable[[str], None]) -> None:
    if isinstance(value, str):
        write(_string(value, variant))
    elif isinstance(value, dict):
        before = "{"
        # Code points sort like their UTF-8 bytes.
        for name in sorted(value, key=replace_surrogates):
            write(f"{before}{_string(name, variant)}:")
            _write(value[name], variant, write)
            before = ","
        write("}" if value else "{}")
    elif isinstance(value, list):
        before = "["
        for item in value:
            write(before)
            _write(item, variant, write)
            before = ","
        write("]" if value else "[]")
    elif value is None or isinstance(value, bool):
        write(json.dumps(value))
    else:
        write(_number(value, variant))


def _string(text: str, variant: Variant) -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    if not variant.read_from_json:
        escaped = escaped.replace("\ufffd", "\\ufffd")
    for character, escape in _ALWAYS_ESCAPED + (_HTML if variant.escapes_html else ()):
        escaped = escaped.replace(character, escape)
    return replace_surrogates(escaped)


def _number(number: int | float, variant: Variant) -> str:
    """Format integers without a fraction, and doubles with the fewest digits."""
    if isinstance(number, int) and (variant.read_from_json or number not in INT64):
        try:
            number = float(number)
        except OverflowError:
            raise ValueError("A number is out of range.") from None
    if -(2**63) <= number < 2**63 and number == int(number):
        return str(int(number))
    if 1e-6 <= abs(number) < 1e21:
        return format(Decimal(repr(number)), "f")
    if math.isinf(number):
        raise ValueError("A number is out of range.")
    return repr(number).replace("e-0", "e-")
