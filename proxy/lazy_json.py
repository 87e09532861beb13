"""A request's JSON whose values are parsed when they are read: most of a conversation never is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from errors import TooManyValues
from proxy.json_text import MAX_PARSED_BYTES, Value
from web.json import NotJson

# Longer strings, such as the content of a file, are truncated.
MAX_STRING_BYTES = 2**20
TRUNCATED = "\n[truncated]"
# The escape or character that a cut can split: two escaped surrogates.
_MAX_SPLIT_BYTES = 12
_MAX_DEPTH = 32


class LazyObject(Mapping[str, Any]):
    """An object whose arrays are LazyArrays, and whose other values are parsed when they are read."""

    def __init__(self, members: dict[str, Value]):
        self._members = members
        self._parsed: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._parsed:
            value = self._members[name]
            self._parsed[name] = LazyArray(value) if value.starts_with(b"[") else parse(value)
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


class LazyArray(Sequence[Any]):
    """An array whose elements are parsed when they are read."""

    def __init__(self, value: Value):
        self._elements = value.elements()
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
        if value.end - value.start <= MAX_PARSED_BYTES:
            return value.parse()
        return _parse_large(value, depth)
    except (NotJson, TooManyValues):
        return None


def _parse_large(value: Value, depth: int) -> Any:
    if not depth:
        return None
    if value.starts_with(b"{"):
        return {name: parse(child, depth - 1) for name, child in value.members().items()}
    if value.starts_with(b"["):
        return [parse(child, depth - 1) for child in value.elements()]
    return _long_string(value.text[value.start : value.end])


def _long_string(text: bytes) -> str | None:
    if len(text) <= MAX_STRING_BYTES:
        return _string(text)
    starts = (_string(text[: MAX_STRING_BYTES - cut] + b'"') for cut in range(_MAX_SPLIT_BYTES))
    start = next((start for start in starts if start is not None), None)
    return start and start + TRUNCATED


def _string(text: bytes) -> str | None:
    try:
        return json.loads(text)
    except ValueError:
        return None
