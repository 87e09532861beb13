"""Calls to the proxies of a running service."""

import http.client
from contextlib import contextmanager

from tests.proxy.upstream import MESSAGES, STREAMING_BODY, TIMEOUT_SECONDS


@contextmanager
def calling(service, key, path=MESSAGES, body=STREAMING_BODY, **headers):
    """Make a call and yield the response after its headers."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT_SECONDS)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(
            "POST", path, body, headers | {"X-API-Key": key, "Content-Type": "application/json"}
        )
        yield connection.getresponse()
    finally:
        connection.close()


def raw_request(key, body):
    """A call's bytes, for clients that disconnect."""
    head = f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
