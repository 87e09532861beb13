"""Read token usage from a provider's response while it is forwarded.

A response is one JSON document or a stream of server-sent events, in the format of Anthropic's Messages, OpenAI's
Responses or Chat Completions.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from rules.events.envelopes import as_list, field, label
from rules.lenient_json import parse_json
from rules.metrics.usage import ReportedUsage, TokenCounts, estimate_tokens, token_counts

# Documents are buffered until they are complete. The usage of longer documents is unknown.
MAX_DOCUMENT_BYTES = 16 * 2**20
_GZIP_OR_ZLIB = 47

# A stream's events wrap the response. Anthropic sends the model and input usage in `message_start`, and the output
# usage in each `message_delta`. OpenAI sends all usage in the last event. Chat Completions' chunks are not wrapped, and
# the last chunk contains the usage if the request asks for it.
_WRAPPERS = {"messages": "message", "responses": "response"}
_COUNT_PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("cache_read_input_tokens",),
        "cacheWrite": ("cache_creation_input_tokens",),
        "cacheWrite5m": ("cache_creation", "ephemeral_5m_input_tokens"),
        "cacheWrite1h": ("cache_creation", "ephemeral_1h_input_tokens"),
    },
    "responses": {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cacheRead": ("input_tokens_details", "cached_tokens"),
        "cacheWrite": ("input_tokens_details", "cache_write_tokens"),
    },
    "chat_completions": {
        "input": ("prompt_tokens",),
        "output": ("completion_tokens",),
        "cacheRead": ("prompt_tokens_details", "cached_tokens"),
        "cacheWrite": ("prompt_tokens_details", "cache_write_tokens"),
    },
}
# The model's text in an event of a stream.
_OUTPUT = {
    "messages": re.compile(rb'"(?:text|thinking|partial_json|signature|data)":\s*"((?:[^"\\]|\\.)*+)"'),
    "responses": re.compile(rb'"(?:delta|encrypted_content)":\s*"((?:[^"\\]|\\.)*+)"'),
    "chat_completions": re.compile(
        rb'"(?:content|arguments|input|refusal|reasoning|reasoning_content)":\s*"((?:[^"\\]|\\.)*+)"'
    ),
}
# Types of the last event in a stream.
_LAST_EVENTS = {
    "messages": ("message_stop",),
    "responses": ("response.completed", "response.incomplete", "response.failed"),
}
# A quick check for these types. Quotes in the model's text are escaped, so it does not match.
_LAST_EVENT = re.compile(rb'"(?:message_stop|response\.(?:completed|incomplete|failed))"')
# The data of Chat Completions' last event, which is not JSON.
END_OF_CHAT = b"[DONE]"


class UsageReader:
    """Reads a response's bytes in chunks.

    `has_total` is set when the provider has reported the total output, `has_error` when it has reported an error, and
    `is_complete` when a stream's last event has arrived. `has_skipped` is set when a document, or a stream's event, is
    longer than MAX_DOCUMENT_BYTES and is not read. `on_data` is called with the data of each event in a stream,
    or with a document at `end()`.
    """

    def __init__(
        self,
        dialect: str,
        content_type: str = "",
        content_encoding: str = "",
        on_data: Callable[[bytes], None] = lambda data: None,
    ):
        self._dialect = dialect
        self.is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._decompress = _decompressor(content_encoding.strip().lower())
        self._on_data = on_data
        self._text = bytearray()  # the document, or a stream's incomplete line
        self._data: list[bytes] = []  # the lines of a stream's incomplete event
        self._ends_with_cr = False
        self._is_too_long = False
        self.has_skipped = False
        self._model: str | None = None
        self._counts: TokenCounts = {}
        self._output_bytes = 0
        self.has_total = False
        self.has_error = False
        self.is_complete = False

    @property
    def has_output(self) -> bool:
        """True if any of the model's text has arrived."""
        return self._output_bytes > 0

    def feed(self, chunk: bytes) -> None:
        try:
            plain = self._decompress(chunk)
        except zlib.error:
            self._decompress = _discard
            plain = b""
        if not self.is_stream or not plain:
            # In a readable stream, only the model's text counts (_read_event).
            self._output_bytes += len(plain or chunk)
        if self.is_stream:
            plain = self._with_newlines(plain)
        self._text += plain
        # Search the chunk alone: searching a long line with each chunk would take quadratic time.
        if self.is_stream and b"\n" in plain:
            self._read_lines()
        if len(self._text) + sum(map(len, self._data)) > MAX_DOCUMENT_BYTES:
            self._text.clear()
            self._data.clear()
            self._is_too_long = self.has_skipped = True

    def end(self) -> None:
        """Read the complete document, or a last event without an empty line at its end."""
        if self.is_stream:
            self._text += b"\n\n"
            self._read_lines()
        elif not self._is_too_long:
            self._read(_parse(self._text))
            self._on_data(bytes(self._text))

    def usage(self) -> ReportedUsage:
        counts = self._counts
        if counts and self._dialect != "messages":
            cached = counts.get("cacheRead", 0) + counts.get("cacheWrite", 0)
            counts = counts | {"input": max(counts.get("input", 0) - cached, 0)}
        return ReportedUsage(self._model, counts)

    def estimated_output(self) -> int:
        """Estimate the output tokens received so far."""
        return estimate_tokens(self._output_bytes)

    def _with_newlines(self, plain: bytes) -> bytes:
        """Replace CR and CR LF, which can also end lines in a stream."""
        if self._ends_with_cr and plain.startswith(b"\n"):
            plain = plain[1:]
            self._ends_with_cr = False
        if plain:
            self._ends_with_cr = plain.endswith(b"\r")
        return plain.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in plain else plain

    def _read_lines(self) -> None:
        """Read the complete lines of a stream. An event can have several data lines, and ends with an empty line."""
        *lines, self._text = self._text.split(b"\n")
        if self._is_too_long:
            del lines[0]
            self._is_too_long = False
        for line in lines:
            if line.startswith(b"data:"):
                data = bytes(line[5:]).strip()
                self._data.append(data)
                # Some clients stop reading after the last line of data, before the event ends.
                if len(self._data) == 1 and self._is_last(data):
                    self._end_event()
            elif not line:
                self._end_event()

    def _end_event(self) -> None:
        if self._data:
            data, self._data = b"\n".join(self._data), []
            self._read_event(data)

    def _is_last(self, data: bytes) -> bool:
        """Return whether this is the data of the last event in a stream."""
        if data == END_OF_CHAT:
            return True
        if self._dialect not in _LAST_EVENTS or not _LAST_EVENT.search(data):
            return False
        return field(_parse(data), "type") in _LAST_EVENTS[self._dialect]

    def _read_event(self, data: bytes) -> None:
        is_last = self._is_last(data)
        # Parse only events with usage or an error: most contain only text.
        document = _parse(data) if is_last or b'"usage"' in data or b'"error"' in data else None
        if not self._read(document):
            self._output_bytes += sum(map(len, _OUTPUT[self._dialect].findall(data)))
        self.is_complete = self.is_complete or is_last
        self._on_data(data)

    def _read(self, document: Any) -> bool:
        """Read the document's counts, if any. They replace earlier counts: a stream reports running totals."""
        if document is None:
            return False
        wrapper = _WRAPPERS.get(self._dialect)
        inner = wrapper and field(document, wrapper)
        response = inner or document
        self._model = label(field(response, "model")) or self._model
        has_error = field(document, "type") == "error" or field(response, "error") is not None
        self.has_error = self.has_error or has_error
        counts = _counts_of_iterations(field(response, "usage"), _COUNT_PATHS[self._dialect])
        self._counts |= counts
        # Anthropic's `message_start` reports only the first output tokens.
        is_start = self._dialect == "messages" and bool(inner)
        self.has_total = self.has_total or ("output" in counts and not is_start)
        return bool(counts)


def _counts_of_iterations(usage: Any, paths: dict[str, tuple[str, ...]]) -> TokenCounts:
    """Return the counts of all iterations: Anthropic's totals exclude compactions."""
    totals = token_counts(usage, paths)
    iterations: Counter[str] = Counter()
    for iteration in as_list(field(usage, "iterations")):
        iterations.update(token_counts(iteration, paths))
    return {name: max(totals.get(name, 0), iterations[name]) for name in totals | iterations}


def _parse(text: bytes | bytearray) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return None


def _decompressor(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in ("", "identity"):
        return bytes
    if encoding in ("gzip", "x-gzip", "deflate"):
        decompressor = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        # Longer documents are not read. The limit stops decompression bombs.
        return lambda chunk: decompressor.decompress(chunk, MAX_DOCUMENT_BYTES + 1)
    return _discard


def _discard(chunk: bytes) -> bytes:
    return b""
