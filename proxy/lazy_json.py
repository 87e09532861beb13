"""Lazily parsed JSON: most of a conversation is never read."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from errors import TooManyValues
from proxy.json_text import Value
from rules.events.recorded_events import truncation
from rules.lenient_json import parse_json
from web.json import NotJson

# Larger values are parsed in parts, and strings longer than this, such as a file's content, are truncated.
MAX_BYTES = 2**20
# Longer than any truncated escape sequence or character.
_MAX_SPLIT_BYTES = 6
_HIGH_SURROGATE_AT_END = re.compile("[\ud800-\udbff]$")
_MAX_DEPTH = 32


class LazyObject(Mapping[str, Any]):
    """An object whose values are parsed when they are read.

    elements -- elements of the arrays to return as LazyArray, by field
    """

    def __init__(self, fields: dict[str, Value], elements: Mapping[str, list[Value]]):
        self._fields = fields
        self._elements = elements
        self._parsed: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._parsed:
            value = self._fields[name]
            elements = self._elements.get(name)
            self._parsed[name] = LazyArray(elements) if elements else parse(value)
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class LazyArray(Sequence[Any]):
    """An array whose elements are parsed when they are read. Iterating does not keep them."""

    def __init__(self, elements: Sequence[Value]):
        self._elements = elements
        self._parsed: dict[int, Any] = {}

    def __iter__(self) -> Iterator[Any]:
        return map(parse, self._elements)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._parsed:
            self._parsed[number] = parse(self._elements[number])
        return self._parsed[number]

    def __len__(self) -> int:
        return len(self._elements)


def parse(value: Value, depth: int = _MAX_DEPTH) -> Any:
    """Parse a value, truncating long strings. Returns the text of an unreadable value."""
    try:
        if value.end - value.start > MAX_BYTES:
            return _parse_large(value, depth)
        return parse_json(value.text[value.start : value.end])
    except (NotJson, TooManyValues, ValueError, RecursionError):
        end = min(value.end, value.start + MAX_BYTES)
        return value.text[value.start : end].decode(errors="replace") + (
            _truncation(value) if end < value.end else ""
        )


def _parse_large(value: Value, depth: int) -> Any:
    if not depth:
        raise RecursionError
    if value.starts_with(b"{"):
        return {name: parse(child, depth - 1) for name, child in value.fields().items()}
    if value.starts_with(b"["):
        return [parse(child, depth - 1) for child in value.elements()]
    return _parse_truncated_string(value.text[value.start : value.start + MAX_BYTES]) + _truncation(value)


def _truncation(value: Value) -> str:
    """Return the end of a truncated text: the size and the hash of the value as sent."""
    with memoryview(value.text) as text, text[value.start : value.end] as sent:
        return truncation(sent)


def _parse_truncated_string(text: bytes) -> str:
    for split_bytes in range(_MAX_SPLIT_BYTES):
        with suppress(ValueError):
            start = json.loads(text[: len(text) - split_bytes] + b'"')
            return _HIGH_SURROGATE_AT_END.sub("", start)
    raise ValueError  # a number, or a string that is not UTF-8
