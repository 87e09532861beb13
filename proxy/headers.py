"""Select the headers that are forwarded to the provider or returned to the client."""

import re
from collections.abc import Iterable, Iterator

Headers = Iterable[tuple[str, str]]

PRINTABLE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# Credentials, headers about this service and the client's network, and the candidate's own accounts.
# Accept-Encoding and Content-Length are replaced. Content-Encoding is dropped because bodies are checked as plain JSON.
DROPPED_REQUEST_HEADERS = HOP_BY_HOP | {
    "accept-encoding", "authorization", "content-encoding", "content-length", "cookie", "expect", "forwarded", "host",
    "openai-organization", "openai-project", "via", "x-api-key", "x-promptster-cli-version", "x-real-ip",
    "x-request-id", "x-request-start",
}  # fmt: skip
DROPPED_REQUEST_PREFIXES = ("cf-", "x-forwarded-")
# Headers that clients read. Other headers identify the provider's account or host, or are set by this service
# (X-Request-Id, X-RateLimit-*).
RESPONSE_HEADERS = {
    "content-encoding", "content-length", "content-type", "openai-model", "openai-processing-ms", "openai-version",
    "request-id", "retry-after", "retry-after-ms", "x-should-retry",
}  # fmt: skip
RESPONSE_PREFIXES = ("anthropic-ratelimit-", "x-codex-", "x-reasoning-")


def request_headers(headers: Headers) -> dict[str, str]:
    """Return the headers to forward. Requests an uncompressed response, because the proxy reads its usage."""
    forwarded = {
        name: value
        for name, value in _end_to_end(headers)
        if name.lower() not in DROPPED_REQUEST_HEADERS
        and not name.lower().startswith(DROPPED_REQUEST_PREFIXES)
    }
    return forwarded | {"Accept-Encoding": "identity"}


def response_headers(headers: Headers) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in _end_to_end(headers)
        if name.lower() in RESPONSE_HEADERS or name.lower().startswith(RESPONSE_PREFIXES)
    ]


def _end_to_end(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield the headers that are not listed in Connection."""
    headers = list(headers)
    connection_options = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for option in value.split(",")
    }
    for name, value in headers:
        # Multi-line values are obsolete, and servers reject them.
        if name.lower() not in connection_options and PRINTABLE.fullmatch(value):
            yield name, value
