"""Forward calls to the providers and stream their responses back.

It uses no request and no table: the endpoints pass plain values and store the usage.
"""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from proxy import connections
from proxy.disconnect import Watch
from proxy.errors import ClientLeft, NoProviderKey, ProviderRedirects, ProviderTimeout, ProviderUnreachable
from proxy.headers import request_headers
from proxy.request_body import RequestBody
from proxy.response import ProviderResponse, log_failure
from proxy.stream_slots import StreamSlots

# To connect and send; and between two reads, however long the whole response takes.
TIMEOUT = urllib3.Timeout(connect=10, read=600)
CREDENTIALS = {"anthropic": ("X-Api-Key", "{}"), "openai": ("Authorization", "Bearer {}")}

log = logging.getLogger("proofstone.proxy")


@dataclass(frozen=True)
class Call:
    """A request to forward; `client` is the client's socket, if known."""

    provider: str
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: RequestBody | None = None
    client: socket.socket | None = None


class ModelProxy:
    """A connection pool per provider, and the stream slots of this process.

    `providers` maps a name to its base URL and its API key, or None without a key.
    """

    def __init__(
        self,
        providers: dict[str, tuple[str, str | None]],
        slots: StreamSlots,
        timeout: urllib3.Timeout = TIMEOUT,
    ):
        self._base_paths = {name: urlsplit(base).path for name, (base, _) in providers.items()}
        self._keys = {name: key for name, (_, key) in providers.items()}
        self._pools = {
            name: connections.pool(base, slots.total, timeout) for name, (base, _) in providers.items()
        }
        self.slots = slots

    def require_key(self, provider: str) -> None:
        if not self._keys[provider]:
            raise NoProviderKey(provider)

    def forward(
        self, call: Call, on_chunk: Callable[[], None], on_end: Callable[[ProviderResponse], None]
    ) -> ProviderResponse:
        """The provider's response once its headers have arrived; the caller must close it.

        Raises ProviderUnreachable, ClientLeft, ProviderRedirects or ProviderTimeout.
        """
        watch = Watch(call.client)
        try:
            return ProviderResponse(call.provider, self._send(call, watch), watch, on_chunk, on_end)
        except BaseException:
            watch.end()
            raise

    def _send(self, call: Call, watch: Watch) -> urllib3.BaseHTTPResponse:
        target = self._base_paths[call.provider] + call.path + (f"?{call.query}" if call.query else "")
        header, value = CREDENTIALS[call.provider]
        headers = request_headers(call.headers)
        if call.body:
            headers["Content-Length"] = str(call.body.size)
            call.body.rewind()
        headers[header] = value.format(self._keys[call.provider])
        pool = self._pools[call.provider]
        try:
            response = connections.urlopen(pool, watch, call.method, target, body=call.body, headers=headers)
        except HTTPError as error:
            log_failure(call.provider, error, watch)
            if watch.client_left:
                raise ClientLeft() from None
            # NewConnectionError is a TimeoutError in urllib3.
            timed_out = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
            raise (ProviderTimeout if timed_out else ProviderUnreachable)() from None
        if response.status in (401, 403):
            # The candidate sees the response too, but cannot change the setting.
            log.error("%s rejected the configured API key (status %s).", call.provider, response.status)
        if 300 <= response.status < 400:
            response.close()
            raise ProviderRedirects()
        return response
