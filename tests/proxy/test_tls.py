"""Connections to a provider over TLS."""

import socket
import threading

import pytest
from certificates import make_certificate, server_context

from proxy import endpoints
from proxy.errors import ProviderUnreachable, ResponseInterrupted
from proxy.forwarding import Call, ModelProxy
from proxy.response import Observer
from proxy.stream_slots import StreamSlots
from tests.proxy.upstream import MESSAGE_EVENTS, START, TIMEOUT_SECONDS, Upstream, streams


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Upstream() as upstream:
        upstream.socket = server_context(certificate).wrap_socket(upstream.socket, server_side=True)
        upstream.address = upstream.address.replace("http:", "https:")
        yield upstream


@pytest.fixture
def forward(upstream):
    proxy = ModelProxy(
        {"anthropic": (f"{upstream.address}/gateway", "sk-ant-ours")}, *[StreamSlots(1, 1)] * 3
    )

    def forward(client=None):
        call = Call(endpoints.ANTHROPIC_MODELS, "GET", "", [], client=client)
        return proxy.forward(call, Observer(lambda: None))

    return forward


def test_a_stream_is_forwarded(forward, upstream):
    upstream.respond = streams(MESSAGE_EVENTS)
    assert b"".join(forward().chunks()) == b"".join(MESSAGE_EVENTS)
    assert upstream.requests[0].target == "/gateway/v1/models"


def test_an_untrusted_certificate_is_rejected(forward, upstream, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ProviderUnreachable):
        forward()
    assert upstream.requests == []


def test_a_disconnected_client_ends_the_call(forward, upstream):
    ended = threading.Event()

    def respond(exchange):
        exchange.start_stream()
        exchange.chunk(START)
        exchange.wait_for_disconnect()
        ended.set()

    upstream.respond = respond
    server_side, client = socket.socketpair()
    response = forward(server_side)
    chunks = response.chunks()
    assert next(chunks) + next(chunks) == START
    client.close()
    with pytest.raises(ResponseInterrupted):
        next(chunks)
    response.close()
    server_side.close()
    assert ended.wait(TIMEOUT_SECONDS)
