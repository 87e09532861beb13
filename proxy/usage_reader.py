"""Read token usage from a provider's response while it is forwarded.

Content is not stored. A response is one JSON document or a stream of server-sent events, in Anthropic's Messages
format or OpenAI's Responses format.
"""

import json
import re
import zlib
from collections.abc import Callable

from rules.envelopes import label, member
from rules.usage import ReportedUsage, TokenCounts, estimated_tokens, token_counts

# A document is buffered until it is complete. A longer one is forwarded, but its usage stays unknown.
MAX_DOCUMENT_BYTES = 16 * 2**20
_GZIP_OR_ZLIB = 47

# Events of a stream wrap the response. Anthropic sends the model and the input in `message_start`, the output in each
# `message_delta`; OpenAI sends everything in the last event, `response.completed`, `.incomplete` or `.failed`.
_WRAPPERS = {"anthropic": "message", "openai": "response"}
_COUNT_PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "anthropic": {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("cache_read_input_tokens",),
        "cacheWrite": ("cache_creation_input_tokens",),
        "cacheWrite5m": ("cache_creation", "ephemeral_5m_input_tokens"),
        "cacheWrite1h": ("cache_creation", "ephemeral_1h_input_tokens"),
    },
    "openai": {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("input_tokens_details", "cached_tokens"),
        "cacheWrite": ("input_tokens_details", "cache_write_tokens"),
    },
}
# The model's text in an event of a stream.
_OUTPUT = {
    "anthropic": re.compile(rb'"(?:text|thinking|partial_json|signature|data)":\s*"((?:[^"\\]|\\.)*+)"'),
    "openai": re.compile(rb'"(?:delta|encrypted_content)":\s*"((?:[^"\\]|\\.)*+)"'),
}


class UsageReader:
    """Takes a response's bytes in chunks; `usage()` returns the usage so far.

    `has_total` is True once the provider has reported the total output.
    """

    def __init__(self, provider: str, content_type: str = "", content_encoding: str = ""):
        self._provider = provider
        self._is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._decompress = _decompressor(content_encoding.strip().lower())
        self._text = bytearray()  # of the document, or of a stream's last line
        self._is_too_long = False
        self._model: str | None = None
        self._counts: TokenCounts = {}
        self._output_bytes = 0
        self.has_total = False

    def feed(self, chunk: bytes) -> None:
        try:
            plain = self._decompress(chunk)
        except zlib.error:
            self._decompress = _discard
            plain = b""
        if not self._is_stream or not plain:
            # Of a readable stream, only the model's text is counted (_read_lines).
            self._output_bytes += len(plain or chunk)
        self._text += plain
        # Search the chunk alone: searching a long line with each chunk would take quadratic time.
        if self._is_stream and b"\n" in plain:
            self._read_lines()
        if len(self._text) > MAX_DOCUMENT_BYTES:
            self._text.clear()
            self._is_too_long = True

    def usage(self) -> ReportedUsage:
        if not self._is_stream and not self._is_too_long:
            self._read(self._text)
        counts = self._counts
        if counts and self._provider == "openai":
            cached = counts.get("cacheRead", 0) + counts.get("cacheWrite", 0)
            counts = counts | {"input": max(counts.get("input", 0) - cached, 0)}
        return ReportedUsage(self._model, counts)

    def estimated_output(self) -> int:
        """The estimated tokens of the output received so far."""
        return estimated_tokens(self._output_bytes)

    def _read_lines(self) -> None:
        """Read the complete lines of a stream; each event has its data on one line."""
        *lines, self._text = self._text.split(b"\n")
        if self._is_too_long:
            del lines[0]
            self._is_too_long = False
        for line in lines:
            # Most events are pieces of text: parse only those with usage.
            if line.startswith(b"data:") and b'"usage"' in line:
                self._read(line[5:])
            else:
                self._output_bytes += sum(map(len, _OUTPUT[self._provider].findall(line)))

    def _read(self, text: bytearray) -> None:
        """Later reports replace earlier ones: a stream's counts are running totals."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return
        wrapped = member(document, _WRAPPERS[self._provider])
        response = wrapped or document
        self._model = label(member(response, "model")) or self._model
        counts = token_counts(member(response, "usage"), _COUNT_PATHS[self._provider])
        self._counts |= counts
        # Anthropic's stream starts with a wrapped message, which reports only the first tokens of the output.
        is_start = self._provider == "anthropic" and wrapped is not None
        self.has_total = self.has_total or ("output" in counts and not is_start)


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
