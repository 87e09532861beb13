"""A request's JSON whose values are parsed when they are read: most of a conversation never is."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, overload

from errors import TooManyValues
from proxy.json_text import Value
from web.json import NotJson

# Larger values are parsed in parts, in which longer strings, such as the content of a file, are truncated.
MAX_BYTES = 2**20
TRUNCATED = "\n[truncated]"
# An escape or a character that is cut has fewer bytes.
_MAX_SPLIT_BYTES = 6
_HALF_A_PAIR = re.compile("[\ud800-\udbff]$")
_MAX_DEPTH = 32


class LazyObject(Mapping[str, Any]):
    """An object whose arrays with known elements are LazyArrays; its other values are parsed when they are read."""

    def __init__(self, fields: dict[str, Value], elements: Mapping[str, list[Value]]):
        """
        elements -- of arrays whose elements are known
        """
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
    """An array whose elements are parsed when they are read."""

    def __init__(self, elements: Sequence[Value]):
        self._elements = elements
        self._parsed: dict[int, Any] = {}

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._parsed:
            self._parsed[number] = parse(self._elements[number])
        return self._parsed[number]

    def __len__(self) -> int:
        return len(self._elements)


def parse(value: Value, depth: int = _MAX_DEPTH) -> Any:
    """A value with long strings truncated; None for what cannot be read."""
    try:
        if value.end - value.start > MAX_BYTES:
            return _parse_large(value, depth)
        return json.loads(value.text[value.start : value.end])
    except (NotJson, TooManyValues, ValueError, RecursionError):
        return None


def _parse_large(value: Value, depth: int) -> Any:
    if not depth:
        return None
    if value.starts_with(b"{"):
        return {name: parse(child, depth - 1) for name, child in value.fields().items()}
    if value.starts_with(b"["):
        return [parse(child, depth - 1) for child in value.elements()]
    return _start_of_string(value.text[value.start : value.start + MAX_BYTES])


def _start_of_string(text: bytes) -> str | None:
    for cut in range(_MAX_SPLIT_BYTES):
        with suppress(ValueError):
            start = json.loads(text[: len(text) - cut] + b'"')
            return _HALF_A_PAIR.sub("", start) + TRUNCATED
    return None
