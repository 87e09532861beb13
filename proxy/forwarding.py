"""Forward calls to the providers and stream their responses back."""

import logging
import socket
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from errors import ApiError
from proxy import connections
from proxy.disconnect import Watch
from proxy.endpoints import Endpoint
from proxy.errors import (
    ClientDisconnected,
    ProviderRedirects,
    ProviderRejectedKey,
    ProviderTimeout,
    ProviderUnreachable,
    TooManyStreams,
)
from proxy.headers import request_headers
from proxy.key_mask import KeyMask
from proxy.request_body import RequestBody
from proxy.response import Observer, ProviderResponse, log_failure
from proxy.stream_slots import StreamSlots
from web.access_log import record_rejected_stream

# `read` limits the time between two reads, not the whole response.
TIMEOUT = urllib3.Timeout(connect=10, read=600)
# A waiting call occupies a thread.
SLOT_WAIT_SECONDS = 10
CREDENTIALS = {"anthropic": ("X-Api-Key", "{}"), "openai": ("Authorization", "Bearer {}")}

log = logging.getLogger("proofstone.proxy")


@dataclass(frozen=True)
class Call:
    """A request to forward. `client` is the client's socket, if known."""

    endpoint: Endpoint
    method: str
    query: str
    headers: list[tuple[str, str]]
    body: RequestBody | None = None
    client: socket.socket | None = None


class ModelProxy:
    """A connection pool per provider, and this process's slots.

    providers -- the base URL and API key by name
    threads -- for all calls, including those that wait or whose body is still arriving
    slots -- for running billed calls
    free_slots -- for running free calls, which tools send in bursts
    """

    def __init__(
        self,
        providers: dict[str, tuple[str, str | None]],
        threads: StreamSlots,
        slots: StreamSlots,
        free_slots: StreamSlots,
        timeout: urllib3.Timeout = TIMEOUT,
    ):
        self._threads, self._slots, self._free_slots = threads, slots, free_slots
        self._base_paths = {name: urlsplit(base).path for name, (base, _) in providers.items()}
        self._keys = {name: key or "" for name, (_, key) in providers.items()}
        self._pools = {
            name: connections.create_pool(base, threads.total, timeout)
            for name, (base, _) in providers.items()
        }

    def has_key(self, provider: str) -> bool:
        return bool(self._keys[provider])

    def acquire_thread(self, endpoint: Endpoint, key: Hashable) -> Callable[[], None]:
        """Return the function that releases the call's thread. Raises TooManyStreams if none is left for the key."""
        return self._require(self._threads.acquire(key), endpoint)

    def acquire_slot(self, endpoint: Endpoint, key: Hashable) -> Callable[[], None]:
        """Wait for a slot, and return the function that releases it. Raises TooManyStreams."""
        slots = self._slots if endpoint.is_billed else self._free_slots
        return self._require(slots.acquire(key, SLOT_WAIT_SECONDS), endpoint)

    def _require(self, release: Callable[[], None] | None, endpoint: Endpoint) -> Callable[[], None]:
        if release is None:
            if endpoint.is_billed:
                record_rejected_stream()
            raise TooManyStreams(endpoint.provider)
        return release

    def forward(self, call: Call, observer: Observer) -> ProviderResponse:
        """Return the provider's response once its headers have arrived. The caller must close it.

        If the call fails, first records it, with the usage that the provider may bill. Raises
        ProviderUnreachable, ClientDisconnected, ProviderRejectedKey, ProviderRedirects or ProviderTimeout.
        """
        watch = Watch(call.client)
        try:
            key_mask = KeyMask(self._keys[call.endpoint.provider])
            return ProviderResponse(call.endpoint, self._send(call, watch), watch, observer, key_mask)
        except BaseException as error:
            was_sent = watch.is_started
            watch.end()
            if was_sent and isinstance(error, ClientDisconnected | ProviderTimeout):
                observer.on_no_response(499 if isinstance(error, ClientDisconnected) else error.code)
            else:
                observer.on_rejection(error.code if isinstance(error, ApiError) else 500)
            raise

    def _send(self, call: Call, watch: Watch) -> urllib3.BaseHTTPResponse:
        provider = call.endpoint.provider
        target = self._base_paths[provider] + call.endpoint.path + (f"?{call.query}" if call.query else "")
        header, value = CREDENTIALS[provider]
        headers = request_headers(call.headers)
        if call.body:
            headers["Content-Length"] = str(call.body.size)
            call.body.rewind()
        headers[header] = value.format(self._keys[provider])
        pool = self._pools[provider]
        try:
            response = connections.urlopen(pool, watch, call.method, target, body=call.body, headers=headers)
        except HTTPError as error:
            log_failure(provider, error, watch)
            if watch.client_disconnected:
                raise ClientDisconnected() from None
            # NewConnectionError is a TimeoutError in urllib3.
            timed_out = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
            raise (ProviderTimeout if timed_out else ProviderUnreachable)() from None
        if 300 <= response.status < 400:
            response.close()
            raise ProviderRedirects()
        if response.status in (401, 403):
            response.close()
            log.error("%s rejected the configured API key (status %s).", provider, response.status)
            raise ProviderRejectedKey()
        return response
