"""A provider's response on its way to the client."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import urllib3
from urllib3.exceptions import HTTPError

from proxy.disconnect import Watch
from proxy.errors import ResponseInterrupted
from proxy.headers import response_headers
from proxy.usage_reader import UsageReader

CHUNK_BYTES = 65536
# Read after the client disconnected, at most: the rest of a response that is about to end.
MAX_REST_BYTES = 4 * 2**20

log = logging.getLogger("proofstone.proxy")


@dataclass
class ProviderResponse:
    """`status`, `headers`, the bytes of `chunks()`, and a `reader` of the usage that they report.

    `on_chunk` is called after each read. `on_end` is called once: when the last byte has arrived, before the client
    can see it, or when the response is closed. `is_whole` then says whether all of it arrived, and `client_left`
    whether the client closed it earlier.
    """

    provider: str
    upstream: urllib3.BaseHTTPResponse
    watch: Watch
    on_chunk: Callable[[], None]
    on_end: Callable[["ProviderResponse"], None]
    is_whole = False
    client_left = False
    has_failed = False
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
        while chunk := self._read():
            if self.watch.client_left:
                raise ResponseInterrupted()
            yield chunk

    def close(self) -> None:
        """Release everything. If the client closes it early, the rest is read for a short time to learn the usage."""
        if not self.has_ended and not self.has_failed:
            self.client_left = True
            self.watch.on_client_left()
            with suppress(ResponseInterrupted):
                self._read_rest()
        self._end(is_whole=False)

    def _read_rest(self) -> None:
        size = 0
        while size < MAX_REST_BYTES and (chunk := self._read()):
            size += len(chunk)

    def _read(self) -> bytes:
        """The bytes that are available, at least one; none at the end. Raises ResponseInterrupted."""
        if self.has_ended:
            return b""
        try:
            chunk = self.upstream.read1(CHUNK_BYTES)
        except (HTTPError, OSError) as error:
            log_failure(self.provider, error, self.watch)
            self._fail()
        if self.watch.is_cut:
            self._fail()
        self.reader.feed(chunk)
        self.on_chunk()
        if not chunk or self.upstream.length_remaining == 0:
            self._end(is_whole=True)
        return chunk

    def _fail(self) -> NoReturn:
        self.has_failed = True
        self.client_left = self.watch.client_left
        raise ResponseInterrupted() from None

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
