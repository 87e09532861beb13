"""Select the headers that are forwarded to the provider or returned to the client."""

import re
from collections.abc import Iterable, Iterator

Headers = Iterable[tuple[str, str]]

PRINTABLE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# The candidate's credentials, headers about this service and the client's network, and other accounts.
# Accept-Encoding is replaced.
DROPPED_REQUEST_HEADERS = HOP_BY_HOP | {
    "accept-encoding", "authorization", "cookie", "expect", "forwarded", "host", "openai-organization",
    "openai-project", "via", "x-api-key", "x-promptster-cli-version", "x-real-ip", "x-request-id", "x-request-start",
}  # fmt: skip
DROPPED_REQUEST_PREFIXES = ("cf-", "x-forwarded-")
# Headers about the provider's own host and connection; this service sets its own X-Request-Id.
DROPPED_RESPONSE_HEADERS = HOP_BY_HOP | {
    "alt-svc", "date", "nel", "report-to", "server", "set-cookie", "strict-transport-security", "x-request-id",
}  # fmt: skip


def request_headers(headers: Headers, *, has_body: bool) -> dict[str, str]:
    """Headers without a credential, for a response that is not compressed: its usage has to be read."""
    dropped = DROPPED_REQUEST_HEADERS if has_body else DROPPED_REQUEST_HEADERS | {"content-length"}
    forwarded = {
        name: value
        for name, value in _end_to_end(headers, dropped)
        if not name.lower().startswith(DROPPED_REQUEST_PREFIXES)
    }
    return forwarded | {"Accept-Encoding": "identity"}


def response_headers(headers: Headers) -> list[tuple[str, str]]:
    return list(_end_to_end(headers, DROPPED_RESPONSE_HEADERS))


def _end_to_end(headers: Headers, dropped: set[str]) -> Iterator[tuple[str, str]]:
    """The headers that are neither dropped nor named by Connection."""
    headers = list(headers)
    connection_options = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for option in value.split(",")
    }
    for name, value in headers:
        # Multi-line values are obsolete, and servers refuse them.
        if name.lower() not in dropped | connection_options and PRINTABLE.fullmatch(value):
            yield name, value
