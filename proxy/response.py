"""Stream a provider's response to the client."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import urllib3
from urllib3.exceptions import HTTPError

from proxy.disconnect import Watch
from proxy.endpoints import Endpoint
from proxy.errors import ResponseInterrupted
from proxy.headers import response_headers
from proxy.key_mask import KeyMask
from proxy.usage_reader import UsageReader

CHUNK_BYTES = 65536
# Maximum to read after the client has disconnected.
MAX_REMAINING_BYTES = 4 * 2**20

log = logging.getLogger("proofstone.proxy")


class Observer:
    """A call's callbacks. A free call only releases its slot."""

    def __init__(self, release_slot: Callable[[], None]):
        self.release_slot = release_slot

    def on_data(self, data: bytes) -> None:
        """An event of a stream, or a document, was received."""

    def on_wait(self) -> None:
        """All received bytes were forwarded, and no more have arrived."""

    def on_complete(self, response: "ProviderResponse") -> None:
        """The response is complete or ended early. The client has not received the end yet."""

    def on_end(self) -> None:
        self.release_slot()

    def on_no_response(self, status: int) -> None:
        """The provider received the call, but sent no response."""

    def on_rejection(self, status: int) -> None:
        """The call cost nothing: the provider did not receive it, or rejected the service's key."""


@dataclass
class ProviderResponse:
    """A response that is forwarded while its usage is read.

    `on_complete` is called once, before the client receives the response's end: when a stream's last event or the last
    byte has arrived, or when the response is closed. `is_whole` is then set if the response is complete, and
    `client_disconnected` if the client closed it earlier. `on_end` is called once, when the connection is no longer
    used.
    """

    endpoint: Endpoint
    upstream: urllib3.BaseHTTPResponse
    watch: Watch
    observer: Observer
    key_mask: KeyMask
    first_output_at: float | None = None
    is_whole = False
    client_disconnected = False
    has_failed = False
    has_arrived = False
    is_observed = False
    has_ended = False

    def __post_init__(self) -> None:
        headers = self.upstream.headers
        content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
        self.status = self.upstream.status
        mask = self.key_mask.text
        self.headers = [(name, mask(value)) for name, value in response_headers(headers.items())]
        request_id = headers.get("request-id") or headers.get("x-request-id")
        self.request_id = request_id and mask(request_id)
        self.reader = UsageReader(self.endpoint.dialect, content_type, encoding, self.observer.on_data)

    def chunks(self) -> Iterator[bytes]:
        """Yield bytes as they arrive, and the last byte after `on_complete`. Raises ResponseInterrupted."""
        # An empty chunk sends the headers before the model responds.
        yield b""
        last_byte = b""
        while chunk := self._read():
            if self.watch.client_disconnected:
                raise ResponseInterrupted()
            text, last_byte = self._split(last_byte + chunk)
            if text:
                yield text
            if not self._is_complete and self.watch.is_silent:
                self.observer.on_wait()
            if self._is_complete:
                self._complete()
                yield last_byte
                last_byte = b""
        self._end()
        if last_byte:
            yield last_byte

    def close(self) -> None:
        """Release all resources. If the client disconnected early, keep reading briefly to get the usage."""
        if not self.has_ended and not self.has_failed and not self._is_complete:
            self.client_disconnected = True
            self.watch.on_client_disconnect()
            size = 0
            with suppress(ResponseInterrupted):
                while size < MAX_REMAINING_BYTES and not self._is_complete and (chunk := self._read()):
                    size += len(chunk)
        self._end()

    @property
    def _is_complete(self) -> bool:
        return self.has_arrived or self.reader.is_complete

    def _split(self, text: bytes) -> tuple[bytes, bytes]:
        """Split off the last byte if it can be the last of the response, or ends the last event."""
        # If the length of a document is unknown, any byte can be its last.
        is_unbounded = not self.reader.is_stream and self.upstream.length_remaining is None
        can_end = (self._is_complete or is_unbounded) and not self.is_observed
        return (text[:-1], text[-1:]) if can_end else (text, b"")

    def _read(self) -> bytes:
        """Return the available bytes, or b"" at the end. Raises ResponseInterrupted."""
        chunk = b""
        while not chunk and not self.has_arrived:
            chunk = self._read_masked()
        self.reader.feed(chunk)
        if self.first_output_at is None and self.reader.has_output:
            self.first_output_at = time.monotonic()
        return chunk

    def _read_masked(self) -> bytes:
        """Return the available bytes without the provider's key. Sets `has_arrived` at the end."""
        try:
            chunk = self.upstream.read1(CHUNK_BYTES)
        except (HTTPError, OSError) as error:
            log_failure(self.endpoint.provider, error, self.watch)
            self._fail()
        if self.watch.is_shut_down:
            self._fail()
        self.has_arrived = not chunk or self.upstream.length_remaining == 0
        if self.has_arrived:
            # The connection is in the pool again: a different call can already use it.
            self.watch.end()
        masked = self.key_mask.feed(chunk)
        return masked + self.key_mask.end() if self.has_arrived else masked

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
        self.client_disconnected = self.watch.client_disconnected
        raise ResponseInterrupted() from None


def log_failure(provider: str, error: Exception, watch: Watch) -> None:
    # Candidates often interrupt models.
    level = logging.INFO if watch.client_disconnected else logging.WARNING
    log.log(level, "A call to %s failed: %s", provider, type(error).__name__)
