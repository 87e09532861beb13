"""Select the headers that are forwarded to the provider or returned to the client."""

import re
from collections.abc import Iterable, Iterator

Headers = Iterable[tuple[str, str]]

PRINTABLE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

# Headers that Claude Code, Codex, opencode and the providers' SDKs send, without credentials and accounts.
REQUEST_HEADERS = {
    "accept", "anthropic-beta", "anthropic-dangerous-direct-browser-access", "anthropic-version", "content-type",
    "conversation_id", "idempotency-key", "openai-beta", "originator", "session-id", "session_id", "thread-id",
    "traceparent", "tracestate", "user-agent", "version", "x-app", "x-client-request-id", "x-openai-subagent",
    "x-parent-session-id", "x-responsesapi-include-timing-metrics", "x-session-affinity", "x-session-id",
}  # fmt: skip
REQUEST_PREFIXES = ("x-claude-code-", "x-codex-", "x-stainless-")
# Headers that clients read. Other headers identify the provider's account or host, or are set by this service
# (X-Request-Id, X-RateLimit-*).
RESPONSE_HEADERS = {
    "content-encoding", "content-length", "content-type", "openai-model", "openai-processing-ms", "openai-version",
    "request-id", "retry-after", "retry-after-ms", "x-should-retry",
}  # fmt: skip
RESPONSE_PREFIXES = ("anthropic-ratelimit-", "x-codex-", "x-reasoning-")


def request_headers(headers: Headers) -> dict[str, str]:
    """Return the headers to forward. Requests an uncompressed response, because the proxy reads its usage."""
    return {**dict(_allowed(headers, REQUEST_HEADERS, REQUEST_PREFIXES)), "Accept-Encoding": "identity"}


def response_headers(headers: Headers) -> list[tuple[str, str]]:
    return list(_allowed(headers, RESPONSE_HEADERS, RESPONSE_PREFIXES))


def _allowed(headers: Headers, names: set[str], prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the headers with these names or prefixes that are not listed in Connection."""
    headers = list(headers)
    connection_options = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for option in value.split(",")
    }
    for name, value in headers:
        # Multi-line values are obsolete, and servers reject them.
        is_allowed = name.lower() in names or name.lower().startswith(prefixes)
        if is_allowed and name.lower() not in connection_options and PRINTABLE.fullmatch(value):
            yield name, value
