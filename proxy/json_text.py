"""Locate values in a large JSON document without parsing it.

A request can be 32 MiB long, and parsed values can take ten times as much memory.
"""

import json
import mmap
import re
from array import array
from bisect import bisect_left
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
# Longer than any field that the proxy reads. A provider could accept a value that is padded with white space or zeros.
MAX_PARSED_BYTES = 65_536
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_SCALAR = rb"-?[0-9][0-9.eE+-]*+|true|false|null"
_VALUE = rb"[{\[]|%b|%b" % (_STRING, _SCALAR)
_SPACE = rb"[ \t\r\n]*+"
# The last group is the child's value, or its opening bracket.
_ELEMENT = re.compile(rb"%b(%b)" % (_SPACE, _VALUE))
_FIELD = re.compile(rb"%b(%b)%b:%b(%b)" % (_SPACE, _STRING, _SPACE, _SPACE, _VALUE))
_SEPARATOR = re.compile(rb"%b([,}\]])" % _SPACE)
_END = re.compile(rb"%b\Z" % _SPACE)
_STEP = re.compile(rb"(?:[ \t\r\n:,]++|%b|%b){0,%d}+([{}\[\]]?)" % (_STRING, _SCALAR, STEP_TOKENS))


class Containers(NamedTuple):
    """The positions of a document's objects and arrays: each long string is then skipped once, not once per level."""

    starts: array
    ends: array

    def end(self, start: int) -> int:
        return self.ends[bisect_left(self.starts, start)]


class Value(NamedTuple):
    """The value in `text[start:end]`."""

    text: Text
    start: int
    end: int
    containers: Containers

    def starts_with(self, prefix: bytes) -> bool:
        return self.text[self.start : self.start + len(prefix)] == prefix

    def parse(self) -> Any:
        """Return the parsed value. Raises NotJson, also for more than MAX_PARSED_BYTES."""
        if self.end - self.start > MAX_PARSED_BYTES:
            raise NotJson(f"A name or a setting in the body is longer than {MAX_PARSED_BYTES:,} bytes.")
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
        if not self.starts_with(opening):
            return
        position = self.start + 1
        first = _SEPARATOR.match(self.text, position)
        if first and first[1] == closing:
            return
        pattern = _FIELD if opening == b"{" else _ELEMENT
        for _ in range(MAX_CHILDREN):
            child = pattern.match(self.text, position)
            if child is None:
                raise NotJson()
            name = self._at(*child.span(1)).parse() if pattern is _FIELD else ""
            value = self._at(*child.span(pattern.groups))
            yield name, value
            separator = _SEPARATOR.match(self.text, value.end)
            if separator is None or separator[1] not in (b",", closing):
                raise NotJson()
            if separator[1] == closing:
                return
            position = separator.end()
        raise TooManyValues()

    def _at(self, start: int, end: int) -> "Value":
        if self.text[start] in b"{[":
            end = self.containers.end(start)
        return Value(self.text, start, end, self.containers)


def document(text: Text) -> Value:
    """Locate the only value in the text. Raises NotJson or TooManyValues."""
    first = _ELEMENT.match(text)
    if first is None:
        raise NotJson()
    start, end = first.span(1)
    containers = Containers(array("Q"), array("Q"))
    if text[start] in b"{[":
        end = _find_containers(text, start, containers)
    if not _END.match(text, end):
        raise NotJson()
    return Value(text, start, end, containers)


def _find_containers(text: Text, start: int, containers: Containers) -> int:
    """Find all objects and arrays in the one at `start`. Returns its end. Raises NotJson or TooManyValues."""
    position, brackets_left, open_containers = start, MAX_BRACKETS, []
    while brackets_left > 0:
        step = _STEP.match(text, position)
        if step is None or step.end() == position:
            raise NotJson()
        position, bracket = step.end(), step[1]
        brackets_left -= 1 if bracket else STEP_BRACKETS
        if bracket in (b"{", b"["):
            open_containers.append(len(containers.starts))
            containers.starts.append(position - 1)
            containers.ends.append(0)
        elif bracket:
            containers.ends[open_containers.pop()] = position
            if not open_containers:
                return position
    raise TooManyValues()
