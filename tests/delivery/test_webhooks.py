"""A webhook's destination, content, TLS and timeouts."""

import json
import socket
import time
from ipaddress import ip_address

import pytest
from certificates import make_certificate, server_context

from delivery import http, webhooks
from rules.delivery import webhook_addresses
from tests.delivery.receiver import LOOPBACK, raw_server, receiving

LOOPBACK_NETWORK = webhook_addresses.parse_networks("127.0.0.0/8")
ONE_ADDRESS = webhook_addresses.parse_networks("127.0.0.1/32")
BODY = b'{"type":"webhook.test"}'
HEADERS = {"webhook-id": "1", "webhook-timestamp": "2", "webhook-signature": "v1,x"}
TIMED_OUT = "The receiver did not respond in time."
# Internal addresses in different notations.
INTERNAL = {
    "this machine": "127.0.0.1 127.1 127.255.255.254 2130706433 0x7f000001 0x7f.1 0177.0.0.1 localhost localhost. "
    "0.0.0.0 0 [::1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1]",
    "private networks": "10.0.0.1 10.255.255.255 167772161 012.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 "
    "100.64.0.1 198.18.0.1 192.0.0.1 [fc00::1] [fd00::1] [fec0::1] [::ffff:10.0.0.1] [::ffff:0:10.0.0.1]",
    "link-local and cloud metadata": "169.254.0.1 169.254.169.254 2852039166 0xa9fea9fe 169.254.170.2 "
    "100.100.100.200 168.63.129.16 [fe80::1] [fe80::1%25lo] [fd00:ec2::254] [::ffff:169.254.169.254]",
    "multicast, broadcast, reserved": "224.0.0.1 239.255.255.255 255.255.255.255 240.0.0.1 192.0.2.1 [ff02::1] "
    "[ff0e::1] [2001:db8::1] [3fff::1] [100::1]",
    "IPv4 inside IPv6": "[64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2002:7f00:1::1] "
    "[2002:a9fe:a9fe::1] [2001:0:7f00:1::1]",
}
# URLs that parsers interpret differently.
DISGUISED = [
    "https://someone:secret@127.0.0.1/", "https://example.com@127.0.0.1/", "https://127.0.0.1:22/",
    "https://127.0.0.1:0/", "https://127.0.0.1./", "https://LOCALHOST/", "https://\uff11\uff12\uff17.0.0.1/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "https://127\u30020\u30020\u30021/",
    "https://loc\u00adalhost/", "https://169.254.169.254.:443/latest/meta-data/", "https://[::1%25eth0]/",
    "https://[fe80::1%eth0]/", "https://127.0.0.1\\@example.com/", "https://127.0.0.1%00/",
    "https://127.0.0.1%2f.example.com/", "https://127.0.0.1#@example.com/", "https://" + "a" * 64 + "/",
    "https://127.0.0.1:99999/", "https://127.0.0.1:-1/", "https://[127.0.0.1/", "gopher://127.0.0.1:25/",
    "unix:///run/docker.sock", "javascript:alert(1)", "file:///etc/passwd", "https:///hook", "//example.com", "",
]  # fmt: skip
# Host names and their addresses.
RESOLVES_INTERNALLY = {
    "metadata.google.internal": ["169.254.169.254"],
    "localtest.example": ["::1"],
    "xn--lcalhost-54a.example": ["127.0.0.1"],
    "host.docker.internal.": ["192.168.65.2"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "shared.example": ["100.64.0.1"],
    "hooks.example.com": ["93.184.216.34", "127.0.0.1"],
    "hooks.example.org": ["2606:4700::1111", "fd00::1"],
}


@pytest.fixture
def no_connection(monkeypatch):
    def connect(*args, **kwargs):
        pytest.fail(f"A connection was made to {args[0]}")

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.fixture
def names(monkeypatch):
    """DNS answers by host name: one list of addresses per lookup. The last list is repeated."""
    answers, getaddrinfo = {}, socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host not in answers:
            assert is_numeric(host), f"{host} was looked up."
            return getaddrinfo(host, port, *args, **kwargs)
        addresses = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [info for address in addresses for info in getaddrinfo(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


def is_numeric(host):
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def post(url, allowed_networks=LOOPBACK_NETWORK):
    return webhooks.post(url, HEADERS, BODY, allowed_networks)


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize("hosts", INTERNAL.values(), ids=INTERNAL)
def test_no_internal_address_is_reached(hosts):
    for host in hosts.split():
        for scheme in ("https", "http"):
            reply = post(f"{scheme}://{host}/hook", allowed_networks=())
            assert reply.status is None, host
            # Some resolvers reject the notation.
            assert reply.error in (http.FORBIDDEN, webhooks.UNRESOLVED), host


@pytest.mark.usefixtures("no_connection")
def test_no_disguised_url_reaches_an_internal_address(monkeypatch):
    getaddrinfo = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        """Resolve only localhost."""
        is_local = host.encode("idna").rstrip(b".").lower() == b"localhost"
        return getaddrinfo(host, port, *args, flags=0 if is_local else socket.AI_NUMERICHOST, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for url in DISGUISED:
        reply = post(url, allowed_networks=())
        assert (reply.status, bool(reply.error)) == (None, True), url


@pytest.mark.usefixtures("no_connection")
def test_no_host_name_with_an_internal_address_is_reached(names):
    for name, addresses in RESOLVES_INTERNALLY.items():
        names[name] = [addresses]
        reply = post(f"https://{name}/hook", allowed_networks=())
        assert reply.error == http.FORBIDDEN, name
        assert addresses[0] not in json.dumps(reply._asdict())


def test_public_addresses_and_the_ipv6_forms_of_allowed_networks_are_allowed():
    public = ["93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    assert all(map(webhook_addresses.is_allowed, public))
    networks = webhook_addresses.parse_networks("10.0.0.0/8, fd00::/8")
    allowed = {
        address: webhook_addresses.is_allowed(address, networks)
        for address in ("::ffff:10.1.2.3", "fd00::5", "fe80::5")
    }
    assert allowed == {"::ffff:10.1.2.3": True, "fd00::5": True, "fe80::5": False}


def test_dns_rebinding_has_no_effect(names):
    with receiving() as checked, receiving("127.0.0.2", checked.port) as other:
        names["hooks.example.com"] = [["127.0.0.1"], ["127.0.0.2"]]
        url = checked.url(host="hooks.example.com")
        assert post(url, ONE_ADDRESS).status == 200
        # Every attempt checks the name again.
        assert post(url, ONE_ADDRESS).error == http.FORBIDDEN
    assert (len(checked.messages), len(other.messages)) == (1, 0)


def test_redirects_are_not_followed():
    with receiving() as receiver, receiving() as other:
        for status in (301, 302, 303, 307, 308):
            receiver.responses = [(status, {"Location": other.url()}, b"")]
            assert post(receiver.url()).status == status
    assert other.messages == []


def test_the_environments_proxies_are_not_used(monkeypatch):
    with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert post(receiver.url()).status == 200
    assert proxy.messages == []


@pytest.mark.usefixtures("no_connection")
def test_plain_http_requires_an_allowed_network(names):
    names["hooks.example.com"] = [["93.184.216.34"]]
    assert post("http://hooks.example.com/").error == http.NOT_ENCRYPTED


def test_the_request_is_json_with_the_urls_host(names):
    names["hooks.example.com"] = [["127.0.0.1"]]
    with receiving() as receiver:
        post(receiver.url("/a/b?c=d", "hooks.example.com"))
    (message,) = receiver.messages
    assert (message.path, message.body) == ("/a/b?c=d", BODY)
    assert message.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert message.headers["content-type"] == "application/json"
    assert HEADERS.items() <= message.headers.items()


def test_the_response_is_truncated_to_one_kibibyte():
    with receiving() as receiver:
        receiver.responses = [(500, {"Retry-After": "7"}, b"\xff\x00" + b"x" * 100_000)]
        reply = post(receiver.url())
    assert (reply.status, reply.retry_after) == (500, "7")
    assert reply.body == "\ufffd\ufffd" + "x" * 1022


def test_an_invalid_response_is_described():
    too_many_headers = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200
    for reply in (b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 999999999999 X\r\n\r\n", too_many_headers):
        with raw_server(lambda peer, reply=reply: peer.recv(65536) and peer.sendall(reply)) as port:
            response = post(f"http://{LOOPBACK}:{port}/")
        assert response.status is None
        assert response.error.startswith("The connection failed (")


def test_a_rejected_connection_is_described():
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    assert post(f"http://{LOOPBACK}:{port}/").error == "The receiver rejected the connection."


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server-side TLS context for hooks.example.com, which this process trusts."""
    certificate = make_certificate(tmp_path, "hooks.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = server_context(certificate)
    context.requested_names = []
    context.sni_callback = lambda connection, name, _: context.requested_names.append(name)
    return context


def test_the_certificate_is_verified_for_the_host_name(names, tls, monkeypatch):
    names["hooks.example.com"] = names["others.example.com"] = [["127.0.0.1"]]
    with receiving(tls=tls) as receiver:
        trusted = post(receiver.url(host="hooks.example.com", scheme="https"))
        other_name = post(receiver.url(host="others.example.com", scheme="https"))
        monkeypatch.delenv("SSL_CERT_FILE")
        unknown_issuer = post(receiver.url(host="hooks.example.com", scheme="https"))
    assert (trusted.status, trusted.error) == (200, None)
    (message,) = receiver.messages
    assert message.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert tls.requested_names == ["hooks.example.com", "others.example.com", "hooks.example.com"]
    for reply in (other_name, unknown_issuer):
        assert reply.error.startswith("The receiver's certificate is not trusted: ")


def test_a_silent_receiver_times_out(monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.2)
    with socket.create_server((LOOPBACK, 0)) as silent:
        reply = post(f"http://{LOOPBACK}:{silent.getsockname()[1]}/")
    assert reply.error == TIMED_OUT


@pytest.mark.parametrize(
    ("scheme", "start"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("http", b"HTTP/1.1 100 Continue\r\n"),
        ("https", b"\x16\x03\x03\x40\x00"),  # the header of a 16 KiB handshake record
    ],
)
def test_an_endless_response_times_out(monkeypatch, scheme, start):
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.3)

    def drip(connection):
        connection.sendall(start)
        while True:
            connection.sendall(b"\x02" if scheme == "https" else b"x")
            time.sleep(0.01)

    with raw_server(drip) as port:
        reply = post(f"{scheme}://{LOOPBACK}:{port}/")
    assert reply.error == TIMED_OUT
