"""The way to a provider over TLS, as it is in earnest."""

import datetime
import ipaddress
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.forwarding import BrokenOff, Call, ModelProxy, ProviderUnreachable
from tests.proxy.upstream import MESSAGE_EVENTS, PATIENCE_SECONDS, START, Upstream, streams


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate of 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a provider")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + plain)
    return path


@pytest.fixture
def upstream(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Upstream() as upstream:
        upstream.socket = context.wrap_socket(upstream.socket, server_side=True)
        upstream.address = upstream.address.replace("http:", "https:")
        yield upstream


@pytest.fixture
def proxy(upstream, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return ModelProxy({"anthropic": (f"{upstream.address}/gateway", "sk-ant-ours")}, streams=1)


def ask(proxy, client=None):
    call = Call("anthropic", "GET", "/v1/models", "", [], client=client)
    return proxy.forward(call, at_end=lambda answer: None)


def test_a_stream_comes_through_tls(proxy, upstream):
    upstream.behave = streams(MESSAGE_EVENTS)
    assert b"".join(ask(proxy).pieces()) == b"".join(MESSAGE_EVENTS)
    assert upstream.requests[0].target == "/gateway/v1/models"


def test_a_provider_with_a_certificate_of_nobody_we_trust_is_not_spoken_to(proxy, upstream, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ProviderUnreachable):
        ask(proxy)
    assert upstream.requests == []


def test_a_client_that_hangs_up_ends_the_call_over_tls(proxy, upstream):
    ended = threading.Event()

    def behave(exchange):
        exchange.begin_stream()
        exchange.piece(START)
        if exchange.sees_a_hangup():
            ended.set()

    upstream.behave = behave
    ours, client = socket.socketpair()
    answer = ask(proxy, ours)
    pieces = answer.pieces()
    assert next(pieces) + next(pieces) == START
    client.close()
    with pytest.raises(BrokenOff):
        next(pieces)
    answer.close()
    ours.close()
    assert ended.wait(PATIENCE_SECONDS)
