"""Read token usage from a provider's response while it is forwarded.

None of the content is kept. There are two protocols, Anthropic Messages and OpenAI Responses, each as one JSON
document or as server-sent events.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rules.envelopes import label, member
from rules.usage import TokenCounts, token_counts

# A document is buffered until it is complete. A longer one is forwarded, but its usage stays unknown.
MAX_DOCUMENT_BYTES = 16 * 2**20
_GZIP_OR_ZLIB = 47


class ReportedUsage(NamedTuple):
    """The model, and tokens by the names of rules.usage; empty if not reported.

    `input` includes neither cache reads nor cache writes, for both providers.
    """

    model: str | None
    counts: TokenCounts


class UsageReader:
    """Takes a response's bytes in chunks; `usage()` returns the usage so far."""

    def __init__(self, provider: str, content_type: str = "", content_encoding: str = ""):
        self._protocol = _PROTOCOLS[provider]
        is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._documents: _EventStream | _Document = _EventStream() if is_stream else _Document()
        self._decompress = _decompressor(content_encoding.strip().lower())
        self._model: str | None = None
        self._counts: TokenCounts = {}

    def feed(self, chunk: bytes) -> None:
        try:
            plain = self._decompress(chunk)
        except zlib.error:
            self._decompress = _discard
            return
        self._read(self._documents.feed(plain))

    def usage(self) -> ReportedUsage:
        self._read(self._documents.end())
        counts = self._counts
        if counts and self._protocol.input_includes_cache:
            cached = counts.get("cacheRead", 0) + counts.get("cacheWrite", 0)
            counts = counts | {"input": max(counts.get("input", 0) - cached, 0)}
        return ReportedUsage(self._model, counts)

    def _read(self, documents: Iterable[bytes | bytearray]) -> None:
        """Later reports replace earlier ones: a stream's counts are running totals."""
        for text in documents:
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                continue
            response = member(document, self._protocol.wrapper) or document
            self._model = label(member(response, "model")) or self._model
            self._counts |= token_counts(member(response, "usage"), self._protocol.members)


class _Document:
    """A response that is one JSON document."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._is_too_long = False

    def feed(self, chunk: bytes) -> tuple[()]:
        if not self._is_too_long:
            self._text += chunk
            self._is_too_long = len(self._text) > MAX_DOCUMENT_BYTES
        return ()

    def end(self) -> Iterator[bytearray]:
        document, self._text = self._text, bytearray()
        if not self._is_too_long:
            yield document


class _EventStream:
    """A response as server-sent events, each with its data on one line."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytearray]:
        self._line += chunk
        # Search the chunk alone: searching a long line with each chunk would take quadratic time.
        if b"\n" in chunk:
            *lines, self._line = self._line.split(b"\n")
            if self._is_too_long:
                del lines[0]
                self._is_too_long = False
            # Most events are pieces of text: parse only those with usage.
            yield from (line[5:] for line in lines if line.startswith(b"data:") and b'"usage"' in line)
        if len(self._line) > MAX_DOCUMENT_BYTES:
            self._line.clear()
            self._is_too_long = True

    def end(self) -> tuple[()]:
        return ()


def _decompressor(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in ("", "identity"):
        return bytes
    if encoding in ("gzip", "x-gzip", "deflate"):
        decompressor = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        # The limit stops decompression bombs; a longer document would not be read anyway.
        return lambda chunk: decompressor.decompress(chunk, MAX_DOCUMENT_BYTES + 1)
    return _discard


def _discard(chunk: bytes) -> bytes:
    return b""


class _Protocol(NamedTuple):
    """`wrapper` has the response in a stream's events; `members` the path of counts."""

    wrapper: str
    members: dict[str, tuple[str, ...]]
    input_includes_cache: bool


_PROTOCOLS = {
    # A stream has model and input in `message_start`, the output in each `message_delta`.
    "anthropic": _Protocol(
        "message",
        {
            "input": ("input_tokens",),
            "output": ("output_tokens",),
            "cacheRead": ("cache_read_input_tokens",),
            "cacheWrite": ("cache_creation_input_tokens",),
            "cacheWrite5m": ("cache_creation", "ephemeral_5m_input_tokens"),
            "cacheWrite1h": ("cache_creation", "ephemeral_1h_input_tokens"),
        },
        False,
    ),
    # A stream has everything in its last event, `response.completed`, `.incomplete` or `.failed`.
    "openai": _Protocol(
        "response",
        {
            "input": ("input_tokens",),
            "output": ("output_tokens",),
            "cacheRead": ("input_tokens_details", "cached_tokens"),
            "cacheWrite": ("input_tokens_details", "cache_write_tokens"),
        },
        True,
    ),
}
