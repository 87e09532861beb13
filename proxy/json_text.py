"""Locate values in a large JSON document without parsing it.

A request can be 32 MiB long, and parsed values can take ten times as much memory.
"""

import json
import mmap
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from errors import TooManyValues
from web.json import NotJson

Text = bytes | mmap.mmap

# Far above what agents send: their requests are large because of long strings, not many values. A single match reads at
# most STEP_TOKENS small values, because no other thread runs during a match.
MAX_BRACKETS = 200_000
MAX_CHILDREN = 20_000
STEP_TOKENS = 1000
STEP_BRACKETS = 200  # the cost of a match without a bracket
# Longer than any field that the proxy reads. Larger values are not parsed.
MAX_PARSED_BYTES = 65_536
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_SCALAR = rb"-?[0-9][0-9.eE+-]*+|true|false|null"
_TOKEN = re.compile(rb"[ \t\r\n]*+([{}\[\]:,]|%b|%b)" % (_STRING, _SCALAR))
_STEP = re.compile(rb"(?:[ \t\r\n:,]++|%b|%b){0,%d}+([{}\[\]]?)" % (_STRING, _SCALAR, STEP_TOKENS))
_SPACE = re.compile(rb"[ \t\r\n]*+")


class Value(NamedTuple):
    """The value in `text[start:end]`."""

    text: Text
    start: int
    end: int

    def starts_with(self, prefix: bytes) -> bool:
        return self.text[self.start : self.start + len(prefix)] == prefix

    def parse(self) -> Any:
        """Return the parsed value, or None if it is longer than MAX_PARSED_BYTES. Raises NotJson."""
        if self.end - self.start > MAX_PARSED_BYTES:
            return None
        try:
            return json.loads(self.text[self.start : self.end])
        except (ValueError, RecursionError):
            raise NotJson() from None

    def fields(self) -> dict[str, "Value"]:
        """Return an object's fields, or {} for other values. Raises NotJson if a field is repeated."""
        fields: dict[str, Value] = {}
        for name, value in self._children(b"{", b"}"):
            if name in fields:
                raise NotJson("An object in the body contains the same field twice.")
            fields[name] = value
        return fields

    def elements(self) -> list["Value"]:
        """Return an array's elements, or [] for other values."""
        return [value for _, value in self._children(b"[", b"]")]

    def _children(self, opening: bytes, closing: bytes) -> Iterator[tuple[str, "Value"]]:
        """Yield each child's name, which is empty in an array, and its value."""
        if not self.starts_with(opening) or _token(self.text, self.start + 1).starts_with(closing):
            return
        position = self.start + 1
        for _ in range(MAX_CHILDREN):
            name = ""
            if opening == b"{":
                token = _token(self.text, position)
                colon = _token(self.text, token.end)
                if not token.starts_with(b'"') or not colon.starts_with(b":"):
                    raise NotJson()
                name, position = token.parse(), colon.end
            value = _value_at(self.text, position)
            yield name, value
            separator = _token(self.text, value.end)
            if separator.starts_with(closing):
                return
            if not separator.starts_with(b","):
                raise NotJson()
            position = separator.end
        raise TooManyValues()


def document(text: Text) -> Value:
    """Locate the only value in the text. Raises NotJson or TooManyValues."""
    value = _value_at(text, 0)
    space = _SPACE.match(text, value.end)
    if space is None or space.end() != len(text):
        raise NotJson()
    return value


def _value_at(text: Text, position: int) -> Value:
    """Return the next value, after whitespace. Raises NotJson or TooManyValues."""
    first = _token(text, position)
    if not first.starts_with(b"{") and not first.starts_with(b"["):
        if text[first.start : first.end] in (b"}", b"]", b":", b","):
            raise NotJson()
        return first
    position, depth, brackets_left = first.end, 1, MAX_BRACKETS
    while brackets_left > 0:
        step = _STEP.match(text, position)
        if step is None or step.end() == position:
            raise NotJson()
        position, bracket = step.end(), step[1]
        brackets_left -= 1 if bracket else STEP_BRACKETS
        if bracket:
            depth += 1 if bracket in b"{[" else -1
        if depth == 0:
            return Value(text, first.start, position)
    raise TooManyValues()


def _token(text: Text, position: int) -> Value:
    """Return the next bracket, separator, string or scalar, after whitespace. Raises NotJson."""
    token = _TOKEN.match(text, position)
    if token is None:
        raise NotJson()
    return Value(text, token.start(1), token.end())
