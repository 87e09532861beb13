"""One POST to a receiver: where it may go, whom it trusts, how long it waits, and what it carries."""

import json
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from delivery import webhooks
from rules import destinations
from tests.delivery.receiver import LOOPBACK, receiving, speaking

OPENED = destinations.networks("127.0.0.0/8")
BODY = b'{"type":"webhook.test"}'
SIGNED = {"webhook-id": "1", "webhook-timestamp": "2", "webhook-signature": "v1,x"}
# Each is refused without a connection, whichever way it is written.
INSIDE = [
    # This machine
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
    "017700000001", "0x7f.0.0.1", "localhost", "localhost.", "0.0.0.0", "0", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
    # Private networks
    "10.0.0.1", "10.255.255.255", "167772161", "012.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "0xc0a80001", "100.64.0.1", "198.18.0.1", "192.0.0.1", "[fc00::1]", "[fd00::1]", "[fec0::1]", "[::ffff:10.0.0.1]",
    "[::ffff:192.168.0.1]", "[::ffff:0:10.0.0.1]",
    # Link-local, and the metadata of clouds
    "169.254.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.170.2",
    "100.100.100.200", "168.63.129.16", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]",
    # Multicast, broadcast, reserved, documentation
    "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "192.0.2.1", "[ff02::1]", "[ff0e::1]",
    "[2001:db8::1]", "[3fff::1]", "[100::1]",
    # IPv4 inside of IPv6
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::1]", "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::1]",
]  # fmt: skip
# The same places written in ways that programs read differently; each whole, since its form is what matters.
DISGUISED = [
    "https://someone:secret@127.0.0.1/", "https://example.com@127.0.0.1/", "https://127.0.0.1:22/",
    "https://127.0.0.1:0/", "https://127.0.0.1./", "https://LOCALHOST/", "https://\uff11\uff12\uff17.0.0.1/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "https://127\u30020\u30020\u30021/",
    "https://loc\u00adalhost/", "https://169.254.169.254.:443/latest/meta-data/", "https://[::ffff:127.1]/",
    "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://127.0.0.1\\@example.com/", "https://127.0.0.1%00/",
    "https://127.0.0.1%2f.example.com/", "https://127.0.0.1#@example.com/", "https://0/", "https://0.0/",
    "https://" + "a" * 64 + "/", "https://127.0.0.1:99999/", "https://127.0.0.1:-1/", "https://[127.0.0.1/",
    "gopher://127.0.0.1:25/", "dict://127.0.0.1/", "unix:///run/docker.sock", "javascript:alert(1)",
]  # fmt: skip
# Names that lead inside: they are what the resolver says, whatever they are called.
NAMED_INSIDE = {
    "metadata.google.internal": "169.254.169.254",
    "127.0.0.1.nip.example": "127.0.0.1",
    "localtest.example": "::1",
    "kubernetes.default.svc": "10.96.0.1",
    "xn--lcalhost-54a.example": "127.0.0.1",
    "host.docker.internal.": "192.168.65.2",
    "mapped.example": "::ffff:10.0.0.1",
    "nat64.example": "64:ff9b::a9fe:a9fe",
    "six-to-four.example": "2002:7f00:1::",
    "shared.example": "100.64.0.1",
}
PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.fixture
def no_connection(monkeypatch):
    """A connection would be a failure of the test."""

    def connect(*args, **kwargs):
        pytest.fail(f"A connection was made to {args[0]}")

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.fixture
def names(monkeypatch):
    """Names and their addresses, one list for each time that one asks; the last one stays."""
    known, really = {}, socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host not in known:
            assert is_numeric(host), f"Nobody should ask for {host}."
            return really(host, port, *args, **kwargs)
        found = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [place for address in found for place in really(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def is_numeric(host):
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def post(url, opened=OPENED):
    return webhooks.post(url, SIGNED, BODY, opened)


# Where it may go


def test_the_table_is_long_enough():
    assert len(set(INSIDE)) == len(INSIDE) >= 60


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize("host", INSIDE)
def test_nothing_goes_inside(host):
    for scheme in ("https", "http"):
        reply = post(f"{scheme}://{host}/hook", opened=())
        assert reply.status is None
        # A form that this machine's resolver does not take leads nowhere either.
        assert reply.words in (webhooks.FORBIDDEN, "The name of the receiver cannot be resolved.")


@pytest.fixture
def addresses_only(monkeypatch):
    """Nobody is asked for a name: whatever is no address, in any form, is not known, save this machine's name."""
    really = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        is_local = host.encode("idna").rstrip(b".").lower() == b"localhost"
        return really(host, port, *args, flags=0 if is_local else socket.AI_NUMERICHOST, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.usefixtures("no_connection", "addresses_only")
@pytest.mark.parametrize("url", DISGUISED)
def test_no_disguise_leads_inside(url):
    reply = post(url, opened=())
    assert reply.status is None
    assert reply.words


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize(("name", "address"), NAMED_INSIDE.items())
def test_no_name_leads_inside(names, name, address):
    names[name] = [[address]]
    assert post(f"https://{name}/hook", opened=()).words == webhooks.FORBIDDEN


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_open(address):
    assert destinations.is_allowed(address)


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["2606:4700::1111", "fd00::1"]]
)
def test_a_name_with_one_address_inside_is_refused(names, addresses):
    names["hooks.example.com"] = [addresses]
    assert post("https://hooks.example.com/", opened=()).words == webhooks.FORBIDDEN


def test_the_address_that_was_checked_is_the_one_connected_to(names):
    """Rebinding: the name leads elsewhere as soon as it was checked."""
    with receiving() as checked, receiving("127.0.0.2", checked.port) as other:
        names["hooks.example.com"] = [["127.0.0.1"], ["127.0.0.2"]]
        reply = post(checked.url(host="hooks.example.com"), destinations.networks("127.0.0.1/32"))
    assert reply.status == 200
    assert len(checked.messages) == 1
    assert other.messages == []


def test_a_name_is_checked_again_at_each_try(names):
    with receiving() as receiver:
        names["hooks.example.com"] = [["127.0.0.1"], ["127.0.0.2"]]
        url, opened = receiver.url(host="hooks.example.com"), destinations.networks("127.0.0.1/32")
        assert post(url, opened).status == 200
        assert post(url, opened).words == webhooks.FORBIDDEN


def test_no_redirect_is_followed():
    with receiving() as receiver, receiving() as inside:
        for status in (301, 302, 303, 307, 308):
            receiver.answers = [(status, {"Location": inside.url()}, b"")]
            assert post(receiver.url()).status == status
    assert inside.messages == []


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert post(receiver.url()).status == 200
    assert proxy.messages == []


@pytest.mark.usefixtures("no_connection")
def test_plain_http_goes_to_opened_networks_only(names):
    names["hooks.example.com"] = [["93.184.216.34"]]
    assert post("http://hooks.example.com/").words == webhooks.NOT_ENCRYPTED


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "https:///hook", "//example.com", ""]
)
def test_only_the_web_is_a_destination(url):
    assert post(url).status is None


def test_a_network_opens_the_forms_in_ipv6_too():
    assert destinations.is_allowed("::ffff:10.1.2.3", destinations.networks("10.0.0.0/8"))
    assert destinations.is_allowed("fd00::5", destinations.networks("10.0.0.0/8, fd00::/8"))
    assert not destinations.is_allowed("fe80::5", destinations.networks("10.0.0.0/8, fd00::/8"))


# What arrives


def test_it_is_a_post_of_json_with_the_name_as_host(names):
    names["hooks.example.com"] = [["127.0.0.1"]]
    with receiving() as receiver:
        post(receiver.url("/a/b?c=d", "hooks.example.com"))
    (message,) = receiver.messages
    assert (message.path, message.body) == ("/a/b?c=d", BODY)
    assert message.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert message.headers["content-type"] == "application/json"
    assert SIGNED.items() <= message.headers.items()


def test_the_first_kib_of_the_answer_is_kept():
    with receiving() as receiver:
        receiver.answers = [(500, {"Retry-After": "7"}, b"\xff\x00" + b"x" * 100_000)]
        reply = post(receiver.url())
    assert (reply.status, reply.retry_after) == (500, "7")
    assert reply.answer == "\ufffd\ufffd" + "x" * 1022


# Whom it trusts


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """The server's side of TLS as hooks.example.com, trusted by this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "pem").write_bytes(key.private_bytes(*form) + pem)
    (tmp_path / "trusted").write_bytes(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    context.names = []
    context.sni_callback = lambda connection, asked, _: context.names.append(asked)
    return context


def test_over_tls_the_name_is_asked_for_and_proved(names, tls):
    names["hooks.example.com"] = [["127.0.0.1"]]
    with receiving(tls=tls) as receiver:
        reply = post(receiver.url(host="hooks.example.com", scheme="https"))
    assert (reply.status, reply.words) == (200, None)
    assert tls.names == ["hooks.example.com"]


def test_a_certificate_of_another_name_is_not_trusted(names, tls):
    names["others.example.com"] = [["127.0.0.1"]]
    with receiving(tls=tls) as receiver:
        reply = post(receiver.url(host="others.example.com", scheme="https"))
    assert receiver.messages == []
    assert "certificate" in reply.words


def test_a_certificate_that_nobody_known_signed_is_not_trusted(names, tls, monkeypatch):
    names["hooks.example.com"] = [["127.0.0.1"]]
    monkeypatch.delenv("SSL_CERT_FILE")
    with receiving(tls=tls) as receiver:
        reply = post(receiver.url(host="hooks.example.com", scheme="https"))
    assert receiver.messages == []
    assert "certificate" in reply.words


# How long it waits


def test_a_receiver_that_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.2)
    done = threading.Event()
    with speaking(lambda connection: done.wait(10)) as port:
        reply = post(f"http://{LOOPBACK}:{port}/")
        done.set()
    assert reply.words == "The receiver did not answer in time."


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n"]
)
def test_a_receiver_that_never_comes_to_an_end_is_left(monkeypatch, beginning):
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.3)

    def drip(connection):
        connection.sendall(beginning)
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    began = time.monotonic()
    with speaking(drip) as port:
        reply = post(f"http://{LOOPBACK}:{port}/")
    assert reply.words == "The receiver did not answer in time."
    assert time.monotonic() - began < 5


def test_a_handshake_that_never_comes_to_an_end_is_left(monkeypatch):
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.3)
    record = b"\x16\x03\x03\x40\x00"  # the head of a handshake's record of 16 KiB

    def drip(connection):
        connection.sendall(record)
        while True:
            connection.sendall(b"\x02")
            time.sleep(0.05)

    with speaking(drip) as port:
        reply = post(f"https://{LOOPBACK}:{port}/")
    assert reply.status is None


@pytest.mark.parametrize(
    "talk",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 999999999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
    ],
)
def test_whatever_is_no_answer_is_a_failure_in_words(talk):
    with speaking(lambda connection: connection.recv(65536) and connection.sendall(talk)) as port:
        reply = post(f"http://{LOOPBACK}:{port}/")
    assert reply.status is None
    assert reply.words.endswith(".")


def test_nobody_there_is_a_failure_in_words():
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    assert post(f"http://{LOOPBACK}:{port}/").words == "The receiver refused the connection."


def test_words_tell_nothing_of_where_a_name_leads(names):
    names["inside.example.com"] = [["10.1.2.3"]]
    assert "10.1.2.3" not in json.dumps(post("https://inside.example.com/", opened=())._asdict())
