"""An upstream that acts as both providers, and an application that forwards to it."""

import threading

import pytest
import urllib3
from callers import Caller

from models import ModelUsage
from proxy import disconnect, forwarding
from proxy.forwarding import ModelProxy
from proxy.stream_slots import StreamSlots
from tests.proxy.upstream import MESSAGE, MESSAGES, STREAMING_BODY, TIMEOUT_SECONDS, Upstream, documents

STREAMS, THREADS = 2, 4


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """End calls soon after the client has disconnected, in this process."""
    monkeypatch.setattr(disconnect, "GRACE_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def no_wait_for_slots(monkeypatch):
    monkeypatch.setattr(forwarding, "SLOT_WAIT_SECONDS", 0)


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.respond = documents(200, MESSAGE)
        yield upstream


@pytest.fixture
def forward_to(app, monkeypatch):
    """Forward the application's calls to an address, with these keys."""

    def forward_to(address, anthropic="sk-ant-ours", openai="sk-ours", connect_seconds=2, read_seconds=5):
        providers = {"anthropic": (address, anthropic), "openai": (address, openai)}
        threads, slots, free_slots = (StreamSlots(total, total) for total in (THREADS, STREAMS, STREAMS))
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        proxy = ModelProxy(providers, threads, slots, free_slots, timeout)
        monkeypatch.setitem(app.extensions, "proxy", proxy)

    return forward_to


@pytest.fixture
def candidate(app, key, session, upstream, forward_to):
    """A candidate with an open session, whose calls are forwarded to `upstream`."""
    forward_to(upstream.address)
    return Caller.candidate(app, key)


@pytest.fixture
def call(candidate):
    """Make a call, by default as the candidate, and read its complete response."""

    def call(path, caller=candidate, method="POST", **options):
        if method == "POST":
            options = {"data": STREAMING_BODY, "content_type": "application/json"} | options
        return caller.request(method, path, buffered=True, **options)

    return call


@pytest.fixture
def disconnect_after(candidate, upstream):
    """Make a call, read these events, and disconnect. Then the provider sends the rest, if any."""

    def disconnect_after(events, rest=(), path=MESSAGES, data="{}"):
        has_left, sent = threading.Event(), b"".join(events)

        def respond(exchange):
            exchange.start_stream()
            exchange.chunk(sent)
            if not rest:
                exchange.wait_for_disconnect()
            elif has_left.wait(TIMEOUT_SECONDS):
                exchange.chunk(b"".join(rest))
                exchange.end_stream()

        upstream.respond = respond
        response = candidate.request("POST", path, buffered=False, data=data)
        received, chunks = b"", iter(response.response)
        while received != sent:
            received += next(chunks)
        has_left.set()
        response.close()

    return disconnect_after


@pytest.fixture
def usage(session):
    """Get the session's stored calls."""
    return lambda: list(ModelUsage.select().where(ModelUsage.session == session).order_by(ModelUsage.id))
