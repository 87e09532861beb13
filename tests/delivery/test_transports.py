"""Mail over a real SMTP server, and as files; what each way of failing means."""

import os
import socket
import threading
from dataclasses import replace
from email import message_from_bytes, policy
from urllib.parse import quote

import pytest
from aiosmtpd.smtp import SMTP

from delivery import PermanentFailure, TemporaryFailure
from delivery.mail import compose
from delivery.transports import SmtpTransport, transport_from
from rules.smtp_url import parse_smtp_url
from tests.delivery.mail_server import (
    HANG_UP,
    HOST,
    Mailbox,
    accepts,
    free_port,
    make_certificate,
    server_context,
    smtp_server,
)
from tests.delivery.test_mail import INVITATION, NOW, SENDER, page_of, text_of

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

USER, PASSWORD = "mailer@proofstone.example", "s3cret/:@#?"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
MESSAGE = compose(INVITATION, SENDER, NOW)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def certificate_of_another_host(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificates"), "127.0.0.2")


@pytest.fixture
def mailbox():
    return Mailbox()


def deliver(url, message=MESSAGE):
    return transport_from(url, "unused").deliver(message)


def received(mailbox):
    (envelope,) = mailbox.envelopes
    return message_from_bytes(envelope.content, policy=policy.default)


def test_a_mail_arrives_as_it_was_composed(mailbox):
    with smtp_server(mailbox) as port:
        assert deliver(f"smtp://{HOST}:{port}") == "sent"
    (envelope,) = mailbox.envelopes
    assert envelope.mail_from == "no-reply@proofstone.example"
    assert envelope.rcpt_tos == ["alice@example.com"]
    assert received(mailbox)["Message-ID"] == "<5f0c@proofstone.example>"
    assert text_of(received(mailbox)) == text_of(MESSAGE)
    assert page_of(received(mailbox)).words == page_of(MESSAGE).words


def test_an_envelope_has_one_recipient_whatever_the_name(mailbox):
    message = compose(replace(INVITATION, candidate_name='x" <eve@evil.example>, y'), SENDER, NOW)
    with smtp_server(mailbox) as port:
        deliver(f"smtp://{HOST}:{port}", message)
    assert mailbox.envelopes[0].rcpt_tos == ["alice@example.com"]


def test_starttls_is_taken_where_it_is_offered(mailbox, certificate):
    with smtp_server(mailbox, tls_context=server_context(certificate)) as port:
        deliver(f"smtp://{HOST}:{port}?cafile={certificate}")
    assert mailbox.encrypted == [True]


def test_no_encryption_at_all_has_to_be_asked_for(mailbox, certificate):
    with smtp_server(mailbox, tls_context=server_context(certificate)) as port:
        deliver(f"smtp://{HOST}:{port}?tls=none")
    assert mailbox.encrypted == [False]


@pytest.mark.parametrize("url", ["smtp://{login}@{at}", "smtp://{at}?tls=required"])
def test_required_encryption_that_is_not_offered_keeps_mail_and_login_back(mailbox, url):
    logins = []
    options = {"authenticator": lambda *given: logins.append(given), "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port, pytest.raises(TemporaryFailure, match="encryption"):
        deliver(url.format(login=LOGIN, at=f"{HOST}:{port}"))
    assert mailbox.envelopes == logins == []


def test_a_login_goes_over_starttls(mailbox, certificate):
    options = {"tls_context": server_context(certificate), "authenticator": accepts(USER, PASSWORD)}
    with smtp_server(mailbox, **options, auth_required=True) as port:
        assert deliver(f"smtp://{LOGIN}@{HOST}:{port}?cafile={certificate}") == "sent"
    assert mailbox.encrypted == [True]


def test_a_login_goes_over_tls_from_the_first_byte(mailbox, certificate):
    options = {"ssl_context": server_context(certificate), "authenticator": accepts(USER, PASSWORD)}
    # aiosmtpd counts only STARTTLS as encryption.
    with smtp_server(mailbox, **options, auth_required=True, auth_require_tls=False) as port:
        assert deliver(f"smtps://{LOGIN}@{HOST}:{port}?cafile={certificate}") == "sent"
    assert len(mailbox.envelopes) == 1


def test_a_login_goes_in_the_open_where_the_setting_says_so(mailbox):
    options = {"authenticator": accepts(USER, PASSWORD), "auth_required": True, "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port:
        assert deliver(f"smtp://{LOGIN}@{HOST}:{port}?tls=none") == "sent"


def test_a_wrong_login_can_be_mended(mailbox):
    options = {"authenticator": accepts(USER, "another"), "auth_require_tls": False}
    with (
        smtp_server(mailbox, **options) as port,
        pytest.raises(TemporaryFailure, match="answered 535") as failure,
    ):
        deliver(f"smtp://{LOGIN}@{HOST}:{port}?tls=none")
    assert PASSWORD not in failure.value.words


def test_a_missing_login_can_be_mended(mailbox):
    options = {"authenticator": accepts(USER, PASSWORD), "auth_required": True, "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port, pytest.raises(TemporaryFailure, match="answered 530"):
        deliver(f"smtp://{HOST}:{port}")


def test_a_server_without_logins_can_be_mended(mailbox):
    with smtp_server(mailbox) as port, pytest.raises(TemporaryFailure, match="AUTH"):
        deliver(f"smtp://{LOGIN}@{HOST}:{port}?tls=none")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_of_nobody_we_trust_is_not_accepted(mailbox, certificate, scheme):
    option = "ssl_context" if scheme == "smtps" else "tls_context"
    with (
        smtp_server(mailbox, **{option: server_context(certificate)}) as port,
        pytest.raises(TemporaryFailure, match="certificate cannot be verified"),
    ):
        deliver(f"{scheme}://{HOST}:{port}")
    assert mailbox.envelopes == []


def test_a_certificate_of_another_host_is_not_accepted(mailbox, certificate_of_another_host):
    with (
        smtp_server(mailbox, tls_context=server_context(certificate_of_another_host)) as port,
        pytest.raises(TemporaryFailure, match="certificate cannot be verified"),
    ):
        deliver(f"smtp://{HOST}:{port}?cafile={certificate_of_another_host}")
    assert mailbox.envelopes == []


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("550 5.1.1 no such mailbox", PermanentFailure),
        ("552 5.3.4 too big", PermanentFailure),
        ("421 4.3.2 shutting down", TemporaryFailure),
        ("451 4.7.1 greylisted, come again", TemporaryFailure),
        ("530 5.7.0 must log in", TemporaryFailure),
    ],
)
def test_the_answer_decides_whether_to_try_again(mailbox, command, answer, failure):
    mailbox.answers[command] = answer
    with smtp_server(mailbox) as port, pytest.raises(failure) as raised:
        deliver(f"smtp://{HOST}:{port}")
    assert type(raised.value) is failure
    assert raised.value.words == f"The mail server answered {answer[:3]}: {answer[4:]}"
    assert mailbox.envelopes == []


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_up_is_tried_again(mailbox, command):
    mailbox.answers[command] = HANG_UP
    with smtp_server(mailbox) as port, pytest.raises(TemporaryFailure, match="mail server cannot be used"):
        deliver(f"smtp://{HOST}:{port}")


def test_a_server_that_is_not_there_is_tried_again():
    with pytest.raises(TemporaryFailure, match="Connection refused"):
        deliver(f"smtp://{HOST}:{free_port()}")


def test_a_host_that_is_not_there_is_tried_again():
    with pytest.raises(TemporaryFailure, match="mail server cannot be used"):
        deliver("smtp://nowhere.invalid")


def test_a_server_that_says_nothing_is_not_waited_for_endlessly():
    with socket.create_server((HOST, 0)) as silent:
        server = parse_smtp_url(f"smtp://{HOST}:{silent.getsockname()[1]}")
        with pytest.raises(TemporaryFailure, match="timed out"):
            SmtpTransport(server, timeout_seconds=0.05).deliver(MESSAGE)


def test_a_server_that_turns_everybody_away_is_tried_again():
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=turn_away, args=(listener,), daemon=True).start()
        with pytest.raises(TemporaryFailure, match="answered 554: no service for you"):
            deliver(f"smtp://{HOST}:{listener.getsockname()[1]}")


def turn_away(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"554 no service for you\r\n")
        connection.recv(100)


def test_the_words_are_one_short_line_without_the_password(mailbox):
    mailbox.answers["RCPT"] = f"550-first {PASSWORD}\r\n550 " + "x" * 1000
    options = {"authenticator": accepts(USER, PASSWORD), "auth_require_tls": False}
    with smtp_server(mailbox, **options) as port, pytest.raises(PermanentFailure) as failure:
        deliver(f"smtp://{LOGIN}@{HOST}:{port}?tls=none")
    words = failure.value.words
    assert words.startswith("The mail server answered 550: first *** xxx")
    assert words.isprintable()
    assert len(words) == 500


def test_an_accepted_mail_is_sent_even_if_the_goodbye_fails(mailbox, monkeypatch):
    async def hang_up(self, argument):
        self.transport.abort()

    monkeypatch.setattr(SMTP, "smtp_QUIT", hang_up)
    with smtp_server(mailbox) as port:
        assert deliver(f"smtp://{HOST}:{port}") == "sent"
    assert len(mailbox.envelopes) == 1


def test_an_address_of_any_script_needs_a_server_that_takes_it(mailbox):
    message = compose(replace(INVITATION, to_address="jürgen@bücher.example"), SENDER, NOW)
    with smtp_server(mailbox, enable_SMTPUTF8=True) as port:
        assert deliver(f"smtp://{HOST}:{port}", message) == "sent"
    assert mailbox.envelopes[0].rcpt_tos == ["jürgen@xn--bcher-kva.example"]
    with (
        smtp_server(mailbox, enable_SMTPUTF8=False) as port,
        pytest.raises(PermanentFailure, match="beyond ASCII"),
    ):
        deliver(f"smtp://{HOST}:{port}", message)


@pytest.mark.parametrize("no_url", [None, ""])
def test_without_a_server_mails_are_files(tmp_path, no_url):
    folder = tmp_path / "var" / "mail"
    assert transport_from(no_url, folder).deliver(MESSAGE) == "saved"
    (path,) = folder.iterdir()
    assert path.name == "5f0c@proofstone.example.eml"
    assert path.read_bytes() == MESSAGE.as_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_mail_saved_again_replaces_its_file(tmp_path):
    for name in ("Alice", "Zoë"):
        message = compose(replace(INVITATION, candidate_name=name), SENDER, NOW)
        transport_from(None, tmp_path).deliver(message)
    (path,) = tmp_path.iterdir()
    saved = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert saved["To"].addresses[0].display_name == "Zoë"


def test_no_message_id_leads_out_of_the_folder(tmp_path):
    message = compose(replace(INVITATION, message_id="<../../x/y@example>"), SENDER, NOW)
    transport_from(None, tmp_path / "mail").deliver(message)
    (path,) = (tmp_path / "mail").iterdir()
    assert path.name.endswith("x_y@example.eml")


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path):
    (tmp_path / "mail").write_text("a file, not a folder")
    with pytest.raises(TemporaryFailure, match="cannot be saved"):
        transport_from(None, tmp_path / "mail").deliver(MESSAGE)


def test_a_file_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TemporaryFailure, match="No space left on device"):
        transport_from(None, tmp_path).deliver(MESSAGE)
    assert list(tmp_path.iterdir()) == []
