"""Find fields of a large JSON document without building its values.

A request can have 32 MiB, and many small values take ten times as much memory as their text.
"""

import json
import mmap
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from errors import TooManyValues
from web.json import NotJson

Text = bytes | mmap.mmap

# Far more than agents send: their requests are large because of long strings. A match reads up to STEP_TOKENS small
# values, so that other threads can run in between.
MAX_BRACKETS = 200_000
MAX_CHILDREN = 20_000
STEP_TOKENS = 1000
STEP_BRACKETS = 200  # a match without a bracket counts as this many
# Larger values are not parsed: no field that the proxy reads is that long.
MAX_PARSED_BYTES = 65_536
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_SCALAR = rb"-?[0-9][0-9.eE+-]*+|true|false|null"
_TOKEN = re.compile(rb"[ \t\r\n]*+([{}\[\]:,]|%b|%b)" % (_STRING, _SCALAR))
_STEP = re.compile(rb"(?:[ \t\r\n:,]++|%b|%b){0,%d}+([{}\[\]]?)" % (_STRING, _SCALAR, STEP_TOKENS))
_SPACE = re.compile(rb"[ \t\r\n]*+")


class Value(NamedTuple):
    """A value's position in the text, from its first byte to the one after its last."""

    text: Text
    start: int
    end: int

    def starts_with(self, prefix: bytes) -> bool:
        return self.text[self.start : self.start + len(prefix)] == prefix

    def parse(self) -> Any:
        """The value; None if it is too large to be parsed. Raises NotJson."""
        if self.end - self.start > MAX_PARSED_BYTES:
            return None
        try:
            return json.loads(self.text[self.start : self.end])
        except (ValueError, RecursionError):
            raise NotJson() from None

    def fields(self) -> dict[str, "Value"]:
        """The fields of an object; {} of any other value. Raises NotJson if a name occurs twice."""
        found: dict[str, Value] = {}
        for name, value in self._children(b"{", b"}"):
            if name in found:
                raise NotJson("An object in the body contains a field twice.")
            found[name] = value
        return found

    def elements(self) -> list["Value"]:
        """The elements of an array; [] of any other value."""
        return [value for _, value in self._children(b"[", b"]")]

    def _children(self, opening: bytes, closing: bytes) -> Iterator[tuple[str, "Value"]]:
        """The name and value of each child; the name of an array's element is empty."""
        if not self.starts_with(opening) or _token(self.text, self.start + 1).starts_with(closing):
            return
        at = self.start + 1
        for _ in range(MAX_CHILDREN):
            name = ""
            if opening == b"{":
                token = _token(self.text, at)
                colon = _token(self.text, token.end)
                if not token.starts_with(b'"') or not colon.starts_with(b":"):
                    raise NotJson()
                name, at = token.parse(), colon.end
            value = value_at(self.text, at)
            yield name, value
            mark = _token(self.text, value.end)
            if mark.starts_with(closing):
                return
            if not mark.starts_with(b","):
                raise NotJson()
            at = mark.end
        raise TooManyValues()


def document(text: Text) -> Value:
    """The one value of the text. Raises NotJson or TooManyValues."""
    value = value_at(text, 0)
    space = _SPACE.match(text, value.end)
    if space is None or space.end() != len(text):
        raise NotJson()
    return value


def value_at(text: Text, at: int) -> Value:
    """The value that starts at a position, after spaces. Raises NotJson or TooManyValues."""
    first = _token(text, at)
    if not first.starts_with(b"{") and not first.starts_with(b"["):
        if text[first.start : first.end] in (b"}", b"]", b":", b","):
            raise NotJson()
        return first
    at, depth, left = first.end, 1, MAX_BRACKETS
    while left > 0:
        step = _STEP.match(text, at)
        if step is None or step.end() == at:
            raise NotJson()
        at, bracket = step.end(), step[1]
        left -= 1 if bracket else STEP_BRACKETS
        if bracket:
            depth += 1 if bracket in b"{[" else -1
        if depth == 0:
            return Value(text, first.start, at)
    raise TooManyValues()


def _token(text: Text, at: int) -> Value:
    """The bracket, punctuation mark, string or scalar at a position, after spaces. Raises NotJson."""
    token = _TOKEN.match(text, at)
    if token is None:
        raise NotJson()
    return Value(text, token.start(1), token.end())
