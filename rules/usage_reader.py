"""Reads the tokens that a model's answer used while the answer passes by, and keeps nothing else of it.

Two protocols, Anthropic's Messages and OpenAI's Responses, each as one JSON document or as server-sent events.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from rules.envelopes import integer, label, member
from rules.usage import Counts

# A document is held until it is whole. A longer one passes all the same, but what it used stays unknown.
LONGEST_DOCUMENT_BYTES = 16 * 2**20
# No answer counts that much; beyond it sums would leave the 64 bits that they are stored in.
_MOST_TOKENS = 10**12
_GZIP_OR_ZLIB = 47


class Usage(NamedTuple):
    """What has been reported: the model, and tokens by the names of rules.usage (none where nothing was).

    `input` has in it neither what was read from the cache nor what was written to it, for both providers.
    """

    model: str | None
    counts: Counts


class UsageReader:
    """Takes the bytes of one answer as they pass; `usage()` tells what they have reported so far."""

    def __init__(self, provider: str, content_type: str = "", content_encoding: str = ""):
        self._protocol = _PROTOCOLS[provider]
        is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._documents: _Events | _Document = _Events() if is_stream else _Document()
        self._unpack = _unpacker(content_encoding.strip().lower())
        self._model: str | None = None
        self._counts: Counts = {}

    def feed(self, piece: bytes) -> None:
        try:
            plain = self._unpack(piece)
        except zlib.error:
            self._unpack = _unreadable
            return
        self._note(self._documents.feed(plain))

    def usage(self) -> Usage:
        self._note(self._documents.end())
        return Usage(self._model, self._protocol.uncached(self._counts) if self._counts else {})

    def _note(self, documents: Iterable[bytes | bytearray]) -> None:
        """Later reports replace earlier ones: a stream's numbers are running totals of its one answer."""
        for text in documents:
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                continue
            answer = self._protocol.answer(document)
            self._model = label(member(answer, "model")) or self._model
            self._counts |= _counts(member(answer, "usage"), self._protocol.members)


class _Document:
    """An answer that is one JSON document."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._is_too_long = False

    def feed(self, piece: bytes) -> tuple[()]:
        if not self._is_too_long:
            self._text += piece
            self._is_too_long = len(self._text) > LONGEST_DOCUMENT_BYTES
        return ()

    def end(self) -> Iterator[bytearray]:
        whole, self._text = self._text, bytearray()
        if not self._is_too_long:
            yield whole


class _Events:
    """An answer as server-sent events. Both providers write the data of each event on one line."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_too_long = False

    def feed(self, piece: bytes) -> Iterator[bytearray]:
        self._line += piece
        # Looked for in the piece alone, so that a long line costs no more than its length.
        if b"\n" in piece:
            *lines, self._line = self._line.split(b"\n")
            if self._is_too_long:
                del lines[0]
                self._is_too_long = False
            # Nearly all events are pieces of text; only the few that speak of usage are worth the parsing.
            yield from (line[5:] for line in lines if line.startswith(b"data:") and b'"usage"' in line)
        if len(self._line) > LONGEST_DOCUMENT_BYTES:
            self._line.clear()
            self._is_too_long = True

    def end(self) -> tuple[()]:
        return ()


def _unpacker(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in ("", "identity"):
        return bytes
    if encoding in ("gzip", "x-gzip", "deflate"):
        packed = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        # What goes beyond the limit could not be read anyway.
        return lambda piece: packed.decompress(piece, LONGEST_DOCUMENT_BYTES + 1)
    return _unreadable


def _unreadable(piece: bytes) -> bytes:
    return b""


def _counts(usage: Any, members: dict[str, tuple[str, ...]]) -> Counts:
    read = {name: integer(member(usage, *path)) for name, path in members.items()}
    return {name: count for name, count in read.items() if count is not None and 0 <= count <= _MOST_TOKENS}


class _Anthropic:
    members = {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("cache_read_input_tokens",),
        "cacheWrite": ("cache_creation_input_tokens",),
        "cacheWrite5m": ("cache_creation", "ephemeral_5m_input_tokens"),
        "cacheWrite1h": ("cache_creation", "ephemeral_1h_input_tokens"),
    }

    @staticmethod
    def answer(document: Any) -> Any:
        """A stream names the model and the input in `message_start`, the output in each `message_delta`."""
        return member(document, "message") or document

    @staticmethod
    def uncached(counts: Counts) -> Counts:
        return counts


class _OpenAI:
    members = {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("input_tokens_details", "cached_tokens"),
        "cacheWrite": ("input_tokens_details", "cache_write_tokens"),
    }

    @staticmethod
    def answer(document: Any) -> Any:
        """A stream tells everything in its last event, `response.completed`, `.incomplete` or `.failed`."""
        return member(document, "response") or document

    @staticmethod
    def uncached(counts: Counts) -> Counts:
        """Its input has in it what was read from the cache and what was written to it."""
        cached = counts.get("cacheRead", 0) + counts.get("cacheWrite", 0)
        return counts | {"input": max(counts.get("input", 0) - cached, 0)}


_PROTOCOLS: dict[str, Any] = {"anthropic": _Anthropic, "openai": _OpenAI}
