"""SMTP_URL: accepted forms and the messages for others."""

import pytest

from rules.smtp_url import SmtpServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 587, "offered")),
        ("smtp://mail.example/", SmtpServer("mail.example", 587, "offered")),
        ("smtp://mail.example:25?tls=required", SmtpServer("mail.example", 25, "required")),
        ("smtp://u:p@mail.example", SmtpServer("mail.example", 587, "required", "u", "p")),
        ("smtp://u:p@mail.example?tls=none", SmtpServer("mail.example", 587, "none", "u", "p")),
        ("smtps://u:p@mail.example", SmtpServer("mail.example", 465, "implicit", "u", "p")),
        ("smtps://u:p@mail.example:2465", SmtpServer("mail.example", 2465, "implicit", "u", "p")),
        ("smtps://a%40b.example:p%2F%23%3A@mail.example",
         SmtpServer("mail.example", 465, "implicit", "a@b.example", "p/#:")),
        ("smtp://[::1]:25", SmtpServer("::1", 25, "offered")),
        ("smtp://bücher.example", SmtpServer("xn--bcher-kva.example", 587, "offered")),
    ],
)  # fmt: skip
def test_each_form_is_parsed(url, server):
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "starts with smtp:// or smtps://"),
        ("mail.example:587", "starts with smtp:// or smtps://"),
        ("http://mail.example", "starts with smtp:// or smtps://"),
        ("smtp://", "a host"),
        ("smtp://u:p@", "a host"),
        ("smtp://[::1", "such as smtp://"),
        ("smtp://" + "x" * 64 + ".example", "valid host name"),
        ("smtp://mail.example:0", "port from 1 to 65535"),
        ("smtp://mail.example:70000", "port from 1 to 65535"),
        ("smtp://u:secret/x@mail.example", "percent-encoded"),
        ("smtp://u:secret#x@mail.example", "percent-encoded"),
        ("smtp://mail.example/inbox", "only options"),
        ("smtp://u@mail.example", "both a user and a password"),
        ("smtp://:secret@mail.example", "both a user and a password"),
        ("smtp://u:secret\N{SNOWMAN}@mail.example", "printable ASCII"),
        ("smtp://u:secret%0D%0A@mail.example", "printable ASCII"),
        ("smtp://u:secret @mail.example", "without spaces"),
        ("smtp://mail.example?tls=maybe", "tls=required"),
        ("smtp://mail.example?tls=none&tls=required", "at most once"),
        ("smtp://mail.example?timeout=3", "no options but"),
        ("smtps://mail.example?tls=none", "smtps:// without tls=none"),
        ("smtps://mail.example?cafile=/not/there.pem", "readable cafile"),
        ("smtps://mail.example?cafile=", "with a value"),
        ("smtps://mail.example?cafile=setup.cfg", "readable cafile"),
    ],
)
def test_an_invalid_url_is_refused_with_the_expected_format_and_no_secret(url, expected):
    with pytest.raises(ValueError, match=expected) as error:
        parse_smtp_url(url)
    assert "secret" not in str(error.value)


def test_the_password_is_not_in_the_repr():
    assert "hunter2" not in repr(parse_smtp_url("smtps://u:hunter2@mail.example"))
