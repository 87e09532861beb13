"""The one spelling of an event's data that its signature covers (contract 7).

The client is a Go program that canonicalises the values it has in memory and sends the envelope with Go's JSON
encoder. Two facts do not survive the way over the wire, so that a server has to try both readings of them (FORMS):

- whether `<`, `>` and `&` are escaped: the client does it now and may stop;
- whether a value was the client's own or had itself been read from JSON (masking of secrets does that). Read from
  JSON, each number is a double, however it is spelt, and each broken character is U+FFFD. The client's own
  integers have 64 bits, and a broken character (texts are cut in the middle of one) is spelt `\\ufffd`, in the
  envelope and in the canonical form alike.
"""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple


class Form(NamedTuple):
    """One reading of a client's data; see the module."""

    escapes_html: bool
    read_from_json: bool


FORMS = (Form(True, False), Form(False, False), Form(True, True), Form(False, True))

_INT64 = range(-(2**63), 2**63)
# A bound for hostile input, some 100,000 values; no client's event comes near it, however long its texts are.
MOST_PARTS = 200_000

# A U+FFFD that stands in the text itself becomes a lone surrogate while it is read, so that it can be told from one
# that is spelt `\ufffd`. Lone surrogates that were sent become U+FFFD as well, as Go reads them.
_PLAIN_REPLACEMENT = "\udfff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_HTML = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
_ALWAYS_ESCAPED = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def parse(text: str) -> Any:
    """The value of a JSON text with what its canonical form depends on; only `canonical` and `plain` read it.

    ValueError where the text is no JSON, RecursionError where it is nested too deep.
    """
    return json.loads(text.replace("\ufffd", _PLAIN_REPLACEMENT), parse_constant=_no_number)


def plain(text: str) -> str:
    """A text out of `parse` as any JSON reader has it."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def canonical(value: Any, form: Form = FORMS[0]) -> bytes:
    """The canonical form of a value out of `parse`, as UTF-8.

    ValueError where a number is out of a double's range, and for more than MOST_PARTS pieces.
    """
    parts: list[str] = []

    def put(part: str) -> None:
        if len(parts) == MOST_PARTS:
            raise ValueError("The data has too many values.")
        parts.append(part)

    _write(value, form, put)
    return "".join(parts).encode()


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number.")


def _write(value: Any, form: Form, put: Callable[[str], None]) -> None:
    if isinstance(value, str):
        put(_string(value, form))
    elif isinstance(value, dict):
        _write_object(value, form, put)
    elif isinstance(value, list):
        _write_array(value, form, put)
    elif value is None or isinstance(value, bool):
        put(json.dumps(value))
    else:
        put(_number(value, form))


def _write_object(members: dict[str, Any], form: Form, put: Callable[[str], None]) -> None:
    before = "{"
    # Code points sort as the bytes of their UTF-8.
    for name in sorted(members, key=plain):
        put(f"{before}{_string(name, form)}:")
        _write(members[name], form, put)
        before = ","
    put("}" if members else "{}")


def _write_array(items: list[Any], form: Form, put: Callable[[str], None]) -> None:
    before = "["
    for item in items:
        put(before)
        _write(item, form, put)
        before = ","
    put("]" if items else "[]")


def _string(text: str, form: Form) -> str:
    # One replacement after the other: texts have megabytes, and a pattern with a function takes seconds for them.
    written = json.dumps(text, ensure_ascii=False)
    if not form.read_from_json:
        written = written.replace("\ufffd", "\\ufffd")
    for character, escape in _ALWAYS_ESCAPED + (_HTML if form.escapes_html else ()):
        written = written.replace(character, escape)
    return plain(written)


def _number(number: int | float, form: Form) -> str:
    """Without a fraction as an integer, exact up to 64 bits; else the shortest digits that give the same double."""
    if isinstance(number, int) and (form.read_from_json or number not in _INT64):
        number = _double(number)
    if -(2**63) <= number < 2**63 and number == int(number):
        return str(int(number))
    if 1e-6 <= abs(number) < 1e21:
        return format(Decimal(repr(number)), "f")
    if math.isinf(number):
        raise ValueError("A number is out of range.")
    return repr(number).replace("e-0", "e-")


def _double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueError("A number is out of range.") from None
