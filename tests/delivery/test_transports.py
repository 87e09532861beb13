"""Delivery over SMTP and as files, and temporary and permanent failures."""

import os
import socket
from dataclasses import replace
from email import message_from_bytes, policy
from urllib.parse import quote

import pytest
from aiosmtpd.smtp import SMTP
from certificates import make_certificate, server_context

from delivery import PermanentFailure, TemporaryFailure
from delivery.email import compose
from delivery.transports import SmtpTransport, create_transport
from rules.delivery.smtp_url import parse_smtp_url
from tests.delivery.mail_server import HANG_UP, Mailbox, accepts, smtp_server
from tests.delivery.receiver import raw_server
from tests.delivery.test_email import INVITATION, NOW, SENDER, texts_of
from tests.servers import HOST, free_port

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

USER, PASSWORD = "mailer@proofstone.example", "s3cret/:@#?"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
MESSAGE = compose(INVITATION, SENDER, NOW)
COMMANDS = pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def send(mailbox):
    """Deliver to a server with these options. `url` has the placeholders `login` and `at`."""

    def send(url="smtp://{at}", message=MESSAGE, **options):
        with smtp_server(mailbox, **options) as port:
            url = url.format(login=LOGIN, at=f"{HOST}:{port}")
            return create_transport(url, "unused").deliver(message)

    return send


def test_an_email_arrives_unchanged_and_only_at_its_recipient(mailbox, send):
    message = compose(replace(INVITATION, candidate_name='x" <eve@evil.example>, y'), SENDER, NOW)
    assert send(message=message) == "sent"
    (envelope,) = mailbox.envelopes
    assert envelope.mail_from == "no-reply@proofstone.example"
    assert envelope.rcpt_tos == ["alice@example.com"]
    received = message_from_bytes(envelope.content, policy=policy.default)
    assert received["Message-ID"] == "<5f0c@proofstone.example>"
    assert texts_of(received) == texts_of(message)


@pytest.mark.parametrize(("option", "encrypted"), [("cafile={}", True), ("tls=none", False)])
def test_starttls_is_used_unless_the_url_disables_it(mailbox, send, certificate, option, encrypted):
    send(f"smtp://{{at}}?{option.format(certificate)}", tls_context=server_context(certificate))
    assert mailbox.encrypted == [encrypted]


@pytest.mark.parametrize("url", ["smtp://{login}@{at}", "smtp://{at}?tls=required"])
def test_no_email_or_login_is_sent_without_required_encryption(mailbox, send, url):
    logins = []
    with pytest.raises(TemporaryFailure, match="encryption"):
        send(url, authenticator=lambda *login: logins.append(login), auth_require_tls=False)
    assert mailbox.envelopes == logins == []


@pytest.mark.parametrize(
    ("url", "context"),
    [
        ("smtp://{{login}}@{{at}}?cafile={}", "tls_context"),
        ("smtps://{{login}}@{{at}}?cafile={}", "ssl_context"),
        ("smtp://{{login}}@{{at}}?tls=none", None),
    ],
)
def test_a_login_uses_the_encryption_of_the_url(mailbox, send, certificate, url, context):
    options = {context: server_context(certificate)} if context else {}
    # aiosmtpd's own check only supports STARTTLS.
    options |= {"authenticator": accepts(USER, PASSWORD), "auth_required": True, "auth_require_tls": False}
    assert send(url.format(certificate), **options) == "sent"
    assert mailbox.encrypted == [context == "tls_context"]


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("smtp://{login}@{at}?tls=none", {"authenticator": accepts(USER, "different")}, "responded with 535"),
        (
            "smtp://{at}",
            {"authenticator": accepts(USER, PASSWORD), "auth_required": True},
            "responded with 530",
        ),
        ("smtp://{login}@{at}?tls=none", {"auth_require_tls": True}, "AUTH"),
    ],
    ids=["invalid", "missing", "not offered"],
)
def test_a_failed_login_is_temporary(send, url, options, reason):
    with pytest.raises(TemporaryFailure, match=reason) as failure:
        send(url, **{"auth_require_tls": False} | options)
    assert PASSWORD not in failure.value.reason


@pytest.mark.parametrize(
    ("url", "context", "certified_host"),
    [
        ("smtp://{{at}}", "tls_context", HOST),
        ("smtps://{{at}}", "ssl_context", HOST),
        ("smtp://{{at}}?cafile={}", "tls_context", "127.0.0.2"),
    ],
    ids=["untrusted over starttls", "untrusted over tls", "different host"],
)
def test_the_certificate_is_verified(mailbox, send, tmp_path, url, context, certified_host):
    certificate = make_certificate(tmp_path, certified_host)
    with pytest.raises(TemporaryFailure, match="Cannot verify the email server"):
        send(url.format(certificate), **{context: server_context(certificate)})
    assert mailbox.envelopes == []


@COMMANDS
@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        ("550 5.1.1 no such mailbox", PermanentFailure),
        ("421 4.3.2 shutting down", TemporaryFailure),
        ("451 4.7.1 greylisted, come again", TemporaryFailure),
        ("530 5.7.0 must log in", TemporaryFailure),
    ],
)
def test_the_reply_decides_whether_to_retry(mailbox, send, command, reply, failure):
    mailbox.replies[command] = reply
    with pytest.raises(failure) as raised:
        send()
    assert raised.value.reason == f"The email server responded with {reply[:3]}: {reply[4:]}"
    assert mailbox.envelopes == []


@COMMANDS
def test_a_disconnect_is_a_temporary_failure(mailbox, send, command):
    mailbox.replies[command] = HANG_UP
    with pytest.raises(TemporaryFailure, match="Cannot use the email server"):
        send()


@pytest.mark.parametrize(
    ("host", "reason"),
    [(HOST, "Connection refused"), ("nowhere.invalid", "Cannot use the email server")],
)
def test_an_unreachable_server_is_a_temporary_failure(host, reason):
    with pytest.raises(TemporaryFailure, match=reason):
        create_transport(f"smtp://{host}:{free_port()}", "unused").deliver(MESSAGE)


def test_a_silent_server_times_out():
    with socket.create_server((HOST, 0)) as silent:
        server = parse_smtp_url(f"smtp://{HOST}:{silent.getsockname()[1]}")
        with pytest.raises(TemporaryFailure, match="timed out"):
            SmtpTransport(server, timeout_seconds=0.05).deliver(MESSAGE)


def test_a_rejected_connection_is_a_temporary_failure():
    with (
        raw_server(lambda peer: peer.sendall(b"554 no service for you\r\n") or peer.recv(100)) as port,
        pytest.raises(TemporaryFailure, match="responded with 554: no service for you"),
    ):
        create_transport(f"smtp://{HOST}:{port}", "unused").deliver(MESSAGE)


def test_a_reason_is_a_short_line_without_the_password(mailbox, send):
    mailbox.replies["RCPT"] = f"550-first {PASSWORD}\r\n550 " + "x" * 1000
    with pytest.raises(PermanentFailure) as failure:
        send("smtp://{login}@{at}?tls=none", authenticator=accepts(USER, PASSWORD), auth_require_tls=False)
    reason = failure.value.reason
    assert reason.startswith("The email server responded with 550: first *** xxx")
    assert reason.isprintable()
    assert len(reason) == 500


def test_an_accepted_email_is_sent_despite_a_failing_quit(mailbox, send, monkeypatch):
    async def hang_up(self, argument):
        self.transport.abort()

    monkeypatch.setattr(SMTP, "smtp_QUIT", hang_up)
    assert send() == "sent"
    assert len(mailbox.envelopes) == 1


def test_a_non_ascii_address_requires_smtputf8(mailbox, send):
    message = compose(replace(INVITATION, to_address="jürgen@bücher.example"), SENDER, NOW)
    assert send(message=message, enable_SMTPUTF8=True) == "sent"
    assert mailbox.envelopes[0].rcpt_tos == ["jürgen@xn--bcher-kva.example"]
    with pytest.raises(PermanentFailure, match="non-ASCII addresses"):
        send(message=message, enable_SMTPUTF8=False)


@pytest.mark.parametrize("no_url", [None, ""])
def test_emails_are_private_files_without_a_server(tmp_path, no_url):
    folder = tmp_path / "var" / "mail"
    assert create_transport(no_url, folder).deliver(MESSAGE) == "saved"
    (path,) = folder.iterdir()
    assert path.name == "5f0c@proofstone.example.eml"
    assert path.read_bytes() == MESSAGE.as_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_saved_email_can_be_replaced_and_removed(tmp_path):
    transport = create_transport(None, tmp_path)
    for name in ("Alice", "Zoë"):
        transport.deliver(compose(replace(INVITATION, candidate_name=name), SENDER, NOW))
    (path,) = tmp_path.iterdir()
    saved = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert saved["To"].addresses[0].display_name == "Zoë"
    for _ in range(2):
        transport.remove(INVITATION.message_id)
    assert list(tmp_path.iterdir()) == []


def test_a_message_id_cannot_escape_the_folder(tmp_path):
    message = compose(replace(INVITATION, message_id="<../../x/y@example>"), SENDER, NOW)
    create_transport(None, tmp_path / "email").deliver(message)
    (path,) = (tmp_path / "email").iterdir()
    assert path.name.endswith("x_y@example.eml")


def test_an_unwritable_folder_is_a_temporary_failure(tmp_path):
    (tmp_path / "email").write_text("a file, not a folder")
    with pytest.raises(TemporaryFailure, match="Cannot save the email"):
        create_transport(None, tmp_path / "email").deliver(MESSAGE)


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TemporaryFailure, match="No space left on device"):
        create_transport(None, tmp_path).deliver(MESSAGE)
    assert list(tmp_path.iterdir()) == []
