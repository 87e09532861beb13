"""A running service that forwards to an upstream, and calls to its proxies."""

import http.client
from contextlib import contextmanager

from tests.live.cast import make_assessment, make_keys, start_session
from tests.live.service import Service
from tests.proxy.upstream import MESSAGES, STREAMING_BODY, TIMEOUT_SECONDS, Upstream


@contextmanager
def proxy_service(folder, database_url, processes=1, **settings):
    """Run a service. Its `upstream` plays both providers."""
    with Upstream() as upstream:
        address = upstream.address
        keys = {"ANTHROPIC_API_KEY": "sk-ant-ours", "OPENAI_API_KEY": "sk-ours"}
        urls = {"ANTHROPIC_BASE_URL": address, "OPENAI_BASE_URL": f"{address}/v1"}
        with Service(folder, database_url, **keys, **urls, **settings).start(processes) as service:
            service.upstream = upstream
            yield service


def start_recorded_session(service):
    """Start a session whose model calls are recorded. Returns its key."""
    reviewer = service.organization("Acme")
    key = make_keys(reviewer, make_assessment(reviewer), 1)[0]["key"]
    start_session(service, key)
    return key


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
