"""Forwards a candidate's calls to the models' providers and their answers back, byte by byte as they come.

It knows no request and no table: the endpoint hands it plain values, and keeps what an answer used.
"""

import errno
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from errors import Refusal
from proxy.disconnect import Watch
from rules.usage_reader import UsageReader

log = logging.getLogger("proofstone.model_proxy")

LONGEST_REQUEST_BYTES = 32 * 1024 * 1024
# To connect and to send; and to wait for the next bytes, however long the whole answer takes.
TIMEOUT = urllib3.Timeout(connect=10, read=600)
PIECE_BYTES = 65536

Headers = list[tuple[str, str]]
PRINTABLE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# The candidate's credential, and what speaks of this service, of the way to it, or of somebody else's account.
# What is compressed could not be read on its way, so the provider is asked not to; the answer stays as it sent it.
NOT_ASKED = HOP_BY_HOP | {
    "accept-encoding", "authorization", "cookie", "expect", "forwarded", "host", "openai-organization",
    "openai-project", "via", "x-api-key", "x-promptster-cli-version", "x-real-ip", "x-request-id", "x-request-start",
}  # fmt: skip
NOT_ASKED_PREFIXES = ("cf-", "x-forwarded-")
# What a provider says of its own address would be taken as said of ours, and so would its name for the request.
NOT_ANSWERED = HOP_BY_HOP | {
    "alt-svc", "date", "nel", "report-to", "server", "set-cookie", "strict-transport-security", "x-request-id",
}  # fmt: skip


class NoProviderKey(Refusal):
    """403: no key to the provider is set; the candidate is told what to do."""

    code = 403
    reason = "no_provider_key"
    tool = {"anthropic": ("Claude Code", "ANTHROPIC_API_KEY"), "openai": ("Codex", "OPENAI_API_KEY")}

    def __init__(self, provider: str):
        name, setting = self.tool[provider]
        super().__init__(
            f"{name} has no model here, because this assessment's server has no key to its provider. Please tell "
            f"whoever invited you that {setting} is not set. Your session goes on: you can work without {name} "
            "meanwhile, and it works as soon as the key is set."
        )


class BudgetSpent(Refusal):
    """402: the session's calls have cost what the assessment allows for them."""

    code = 402
    reason = "token_budget_spent"
    sentence = (
        "This assessment's budget for AI models is used up. Your session goes on: "
        "please finish your work without the model and submit it."
    )


class TooManyStreams(Refusal):
    """529 (Anthropic) or 429 (OpenAI): this process forwards as many calls as it may; what is left serves events."""

    code = 429
    reason = "too_many_streams"
    sentence = "Too many calls of models are running at the moment. Please try again in a few seconds."
    retry_after = 2
    status = {"anthropic": 529, "openai": 429}

    def __init__(self, provider: str):
        super().__init__()
        self.code = self.status[provider]


class ProviderUnreachable(Refusal):
    """502: no connection to the provider, or one that broke before the answer began."""

    code = 502
    reason = "provider_unreachable"
    sentence = "The model's provider could not be reached. Please try again."


class ProviderRedirects(Refusal):
    """502: the provider answers with a redirect, which is not followed (R32)."""

    code = 502
    reason = "provider_redirects"
    sentence = "The model's provider answered with a redirect, which is not followed. Please tell whoever invited you."


class ProviderTimeout(Refusal):
    """504: the provider was silent for too long."""

    code = 504
    reason = "provider_timeout"
    sentence = "The model's provider did not answer in time. Please try again."


class BrokenOff(ConnectionResetError):
    """An answer broke off after its beginning. gunicorn closes the client's connection at this without the end of
    the body, so that the client sees it too."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the provider's answer broke off")


@dataclass(frozen=True)
class Call:
    """What is forwarded. `body` has `read(size)`, or is None; `client` is the socket to watch, where there is one."""

    provider: str
    method: str
    path: str
    query: str
    headers: Headers
    body: Any = None
    client: socket.socket | None = None


class ModelProxy:
    """The way to the providers: a pool of connections to each, and at most `streams` calls at a time.

    providers -- for each name its base address and its key, or None for a provider without a key
    """

    def __init__(
        self, providers: dict[str, tuple[str, str | None]], streams: int, timeout: urllib3.Timeout = TIMEOUT
    ):
        self._bases = {name: urlsplit(base) for name, (base, _) in providers.items()}
        self._keys = {name: key for name, (_, key) in providers.items()}
        self._pools = {name: _pool(base, streams, timeout) for name, (base, _) in providers.items()}
        self._slots = threading.BoundedSemaphore(streams)

    def require_key(self, provider: str) -> None:
        if not self._keys[provider]:
            raise NoProviderKey(provider)

    def forward(self, call: Call, at_end: Callable[["Answer"], None]) -> "Answer":
        """The provider's answer as soon as its head is there; to be closed by the caller.

        `at_end` is called once: when the whole answer has come, before the client can know, or when it is closed.
        Raises TooManyStreams, ProviderUnreachable, ProviderRedirects, ProviderTimeout, and what reading the body
        raises.
        """
        if not self._slots.acquire(blocking=False):
            raise TooManyStreams(call.provider)
        watch = Watch(call.client)
        try:
            return Answer(call.provider, self._ask(call, watch), watch, self._slots, at_end)
        except BaseException:
            watch.end()
            self._slots.release()
            raise

    def _ask(self, call: Call, watch: Watch) -> urllib3.BaseHTTPResponse:
        _waiting.watch = watch
        try:
            response = self._pools[call.provider].urlopen(
                call.method,
                self._target(call),
                body=call.body,
                headers=self._asked(call),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            _note(call.provider, error, watch)
            raise _refusal_of(error) from None
        if response.status in (401, 403):
            # The candidate reads it too, but can do nothing about it.
            log.error("%s refuses the key of the settings: %s", call.provider, response.status)
        if 300 <= response.status < 400:
            response.close()
            raise ProviderRedirects()
        return response

    def _target(self, call: Call) -> str:
        target = self._bases[call.provider].path + call.path
        return f"{target}?{call.query}" if call.query else target

    def _asked(self, call: Call) -> dict[str, str]:
        dropped = NOT_ASKED if call.body else NOT_ASKED | {"content-length"}
        kept = {
            name: value
            for name, value in _end_to_end(call.headers, dropped)
            if not name.lower().startswith(NOT_ASKED_PREFIXES)
        }
        return kept | {"Accept-Encoding": "identity"} | self._credential(call.provider)

    def _credential(self, provider: str) -> dict[str, str]:
        key = self._keys[provider]
        return {"X-Api-Key": f"{key}"} if provider == "anthropic" else {"Authorization": f"Bearer {key}"}


class Answer:
    """An answer on its way: `status`, `headers`, the bytes of its `pieces()`, and what has been read of its use."""

    def __init__(
        self,
        provider: str,
        response: urllib3.BaseHTTPResponse,
        watch: Watch,
        slots: threading.BoundedSemaphore,
        at_end: Callable[["Answer"], None],
    ):
        self.status = response.status
        self.headers = list(_end_to_end(response.headers.items(), NOT_ANSWERED))
        self.is_whole = False
        self.reader = UsageReader(
            provider, response.headers.get("content-type", ""), response.headers.get("content-encoding", "")
        )
        self._provider = provider
        self._response = response
        self._watch = watch
        self._slots = slots
        self._at_end = at_end
        self._has_ended = False

    def pieces(self) -> Iterator[bytes]:
        """The bytes as the provider sends them; BrokenOff where they end too early."""
        # Nothing yet, so that the head goes out before the model has begun to speak.
        yield b""
        while not self._has_ended and (piece := self._next()):
            self.reader.feed(piece)
            if self._response.length_remaining == 0:
                self._end(is_whole=True)
            yield piece
        self._end(is_whole=True)

    def _next(self) -> bytes:
        """What has arrived, without waiting for more than the first byte; empty at the end."""
        try:
            piece = self._response.read1(PIECE_BYTES)
        except (HTTPError, OSError) as error:
            _note(self._provider, error, self._watch)
            raise BrokenOff() from None
        if self._watch.has_left:
            raise BrokenOff()
        return piece

    def close(self) -> None:
        """Give everything back; an answer that is not whole ends at the provider too."""
        self._end(is_whole=False)

    def _end(self, *, is_whole: bool) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self.is_whole = is_whole
        self._watch.end()
        self._response.close()
        self._response.release_conn()
        self._slots.release()
        self._at_end(self)


def _end_to_end(headers: Iterable[tuple[str, str]], dropped: set[str]) -> Iterator[tuple[str, str]]:
    """The headers that are not of this connection alone, nor among the dropped."""
    headers = list(headers)
    named = {
        name.strip().lower()
        for header, value in headers
        if header.lower() == "connection"
        for name in value.split(",")
    }
    for name, value in headers:
        # A value of several lines is obsolete, and no server passes it on.
        if name.lower() not in dropped | named and PRINTABLE.fullmatch(value):
            yield name, value


def _refusal_of(error: HTTPError) -> Refusal:
    # urllib3 counts a refused connection among its time-outs too.
    timed_out = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
    return ProviderTimeout() if timed_out else ProviderUnreachable()


def _note(provider: str, error: Exception, watch: Watch) -> None:
    # That a candidate interrupts the model is everyday.
    level = logging.INFO if watch.has_left else logging.WARNING
    log.log(level, "A call of %s failed: %s", provider, type(error).__name__)


# The watch of the call that the thread is making: the pool gives no other way to its connection.
_waiting = threading.local()


class _Watched:
    def getresponse(self) -> Any:
        """Called when the whole request has been sent; from here on there is nothing to do but to wait."""
        _waiting.watch.begin(self.sock)  # type: ignore[attr-defined]
        return super().getresponse()  # type: ignore[misc]


class _HttpConnection(_Watched, HTTPConnection):
    pass


class _HttpsConnection(_Watched, HTTPSConnection):
    pass


def _pool(base: str, streams: int, timeout: urllib3.Timeout) -> urllib3.HTTPConnectionPool:
    pool = urllib3.connection_from_url(base, maxsize=streams, timeout=timeout)
    pool.ConnectionCls = _HttpsConnection if pool.scheme == "https" else _HttpConnection
    return pool
