"""A provider's response on its way to the client."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import urllib3
from urllib3.exceptions import HTTPError

from proxy.disconnect import Watch
from proxy.endpoints import Endpoint
from proxy.errors import ResponseInterrupted
from proxy.headers import response_headers
from proxy.usage_reader import UsageReader

CHUNK_BYTES = 65536
# Read after the client disconnected, at most: the rest of a response that is about to end.
MAX_REST_BYTES = 4 * 2**20

log = logging.getLogger("proofstone.proxy")


class Observer:
    """Callbacks of a call. This class is for calls that cost nothing: it only releases the slot.

    release_slot -- called at the end
    """

    def __init__(self, release_slot: Callable[[], None] = lambda: None):
        self.release_slot = release_slot

    def on_data(self, data: bytes) -> None:
        """An event of a stream, or a document, has arrived."""

    def on_wait(self) -> None:
        """Bytes have been forwarded, and the provider has not sent the next ones."""

    def on_complete(self, response: "ProviderResponse") -> None:
        """The response is complete, or ends early; the client has not seen its end."""

    def on_end(self) -> None:
        self.release_slot()

    def on_no_response(self, status: int) -> None:
        """The provider received the call, but sent no response."""

    def cancel(self) -> None:
        """The call failed before the provider received it."""


@dataclass
class ProviderResponse:
    """`status`, `headers`, the bytes of `chunks()`, and a `reader` of the usage that they report.

    `on_complete` is called once, before the client can see the end of the
    response: when the last event of a stream or the last byte has arrived, or when the response is closed. `is_whole`
    then says whether the response is complete, and `client_left` whether the client closed it earlier. `on_end` is
    called once, when the call no longer uses its connection.
    """

    endpoint: Endpoint
    upstream: urllib3.BaseHTTPResponse
    watch: Watch
    observer: Observer
    started: float = field(default_factory=time.monotonic)
    first_output_at: float | None = None
    is_whole = False
    client_left = False
    has_failed = False
    has_arrived = False
    is_observed = False
    has_ended = False

    def __post_init__(self) -> None:
        headers = self.upstream.headers
        content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
        self.status = self.upstream.status
        self.headers = response_headers(headers.items())
        self.request_id = headers.get("request-id") or headers.get("x-request-id")
        self.reader = UsageReader(self.endpoint.dialect, content_type, encoding, self.observer.on_data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive, the last one after `on_complete`. Raises ResponseInterrupted."""
        # An empty chunk sends the headers before the model responds.
        yield b""
        held = b""
        while chunk := self._read():
            if self.watch.client_left:
                raise ResponseInterrupted()
            sent, held = self._split(held + chunk)
            if sent:
                yield sent
            if not self._is_complete and self.watch.is_silent:
                self.observer.on_wait()
            if self._is_complete:
                self._complete()
                yield held
                held = b""
        self._end()
        if held:
            yield held

    def close(self) -> None:
        """Release everything. If the client closes it early, the rest is read for a short time to learn the usage."""
        if not self.has_ended and not self.has_failed and not self._is_complete:
            self.client_left = True
            self.watch.on_client_left()
            size = 0
            with suppress(ResponseInterrupted):
                while size < MAX_REST_BYTES and not self._is_complete and (chunk := self._read()):
                    size += len(chunk)
        self._end()

    @property
    def _is_complete(self) -> bool:
        return self.has_arrived or self.reader.is_complete

    def _split(self, text: bytes) -> tuple[bytes, bytes]:
        """The bytes to send now, and the last one, if it may be the response's last or ends its last event.

        Without its length, any byte of a document may be its last. No client can use a document without its last byte.
        """
        is_document = not self.reader.is_stream and self.upstream.length_remaining is None
        holds = (self._is_complete or is_document) and not self.is_observed
        return (text[:-1], text[-1:]) if holds else (text, b"")

    def _read(self) -> bytes:
        """The bytes that are available, at least one; none at the end. Raises ResponseInterrupted."""
        if self.has_arrived:
            return b""
        try:
            chunk = self.upstream.read1(CHUNK_BYTES)
        except (HTTPError, OSError) as error:
            log_failure(self.endpoint.provider, error, self.watch)
            self._fail()
        if self.watch.is_cut:
            self._fail()
        self.reader.feed(chunk)
        if self.first_output_at is None and self.reader.has_output:
            self.first_output_at = time.monotonic()
        self.has_arrived = not chunk or self.upstream.length_remaining == 0
        return chunk

    def _complete(self) -> None:
        if self.is_observed:
            return
        self.is_observed = True
        self.is_whole = self._is_complete
        self.reader.end()
        self.observer.on_complete(self)

    def _end(self) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        try:
            self._complete()
        finally:
            self.watch.end()
            self.upstream.close()
            self.upstream.release_conn()
            self.observer.on_end()

    def _fail(self) -> NoReturn:
        self.has_failed = True
        self.client_left = self.watch.client_left
        raise ResponseInterrupted() from None


def log_failure(provider: str, error: Exception, watch: Watch) -> None:
    # Candidates interrupt models all the time; that is no reason for a warning.
    level = logging.INFO if watch.client_left else logging.WARNING
    log.log(level, "A call to %s failed: %s", provider, type(error).__name__)
