"""A provider's response on its way to the client."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import HTTPError

from proxy.disconnect import Watch
from proxy.errors import ResponseInterrupted
from proxy.headers import response_headers
from proxy.usage_reader import UsageReader

CHUNK_BYTES = 65536

log = logging.getLogger("proofstone.proxy")


@dataclass
class ProviderResponse:
    """`status`, `headers`, the bytes of `chunks()`, and a `reader` of the usage that they report.

    `on_chunk` is called after each read. `on_end` is called once: when the last byte has arrived, before the client
    can see it, or when the response is closed.
    """

    provider: str
    upstream: urllib3.BaseHTTPResponse
    watch: Watch
    on_chunk: Callable[[], None]
    on_end: Callable[["ProviderResponse"], None]
    is_whole = False
    has_ended = False

    def __post_init__(self) -> None:
        headers = self.upstream.headers
        content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
        self.status = self.upstream.status
        self.headers = response_headers(headers.items())
        self.reader = UsageReader(self.provider, content_type, encoding)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive. Raises ResponseInterrupted."""
        # An empty chunk sends the headers before the model responds.
        yield b""
        while not self.has_ended and (chunk := self._read()):
            self.reader.feed(chunk)
            self.on_chunk()
            if self.upstream.length_remaining == 0:
                self._end(is_whole=True)
            yield chunk
        self._end(is_whole=True)

    def close(self) -> None:
        """Release everything; an unfinished response is canceled at the provider."""
        self._end(is_whole=False)

    def _read(self) -> bytes:
        """The bytes that are available, at least one; none at the end."""
        try:
            chunk = self.upstream.read1(CHUNK_BYTES)
        except (HTTPError, OSError) as error:
            log_failure(self.provider, error, self.watch)
            raise ResponseInterrupted() from None
        if self.watch.client_left:
            raise ResponseInterrupted()
        return chunk

    def _end(self, *, is_whole: bool) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        self.is_whole = is_whole
        self.watch.end()
        self.upstream.close()
        self.upstream.release_conn()
        self.on_end(self)


def log_failure(provider: str, error: Exception, watch: Watch) -> None:
    # Candidates interrupt models all the time; that is no reason for a warning.
    level = logging.INFO if watch.client_left else logging.WARNING
    log.log(level, "A call to %s failed: %s", provider, type(error).__name__)
