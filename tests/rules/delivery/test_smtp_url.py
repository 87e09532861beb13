"""SMTP_URL: valid formats and error messages."""

import pytest

from rules.delivery.smtp_url import SmtpServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 587, "offered")),
        ("smtp://mail.example:25/?tls=required", SmtpServer("mail.example", 25, "required")),
        ("smtp://u:p@mail.example", SmtpServer("mail.example", 587, "required", "u", "p")),
        ("smtp://u:p@mail.example?tls=none", SmtpServer("mail.example", 587, "none", "u", "p")),
        ("smtps://u:p@mail.example:2465", SmtpServer("mail.example", 2465, "implicit", "u", "p")),
        ("smtps://a%40b:p%2F%23%3A@mail.example", SmtpServer("mail.example", 465, "implicit", "a@b", "p/#:")),
        ("smtp://[::1]:25", SmtpServer("::1", 25, "offered")),
        ("smtp://bücher.example", SmtpServer("xn--bcher-kva.example", 587, "offered")),
    ],
)
def test_smtp_urls_are_parsed(url, server):
    assert parse_smtp_url(url) == server
    assert "password" not in repr(server)


@pytest.mark.parametrize(
    ("expected", "urls"),
    [
        ("starts with smtp:// or smtps://", ["", "mail.example:587", "http://mail.example"]),
        ("a host", ["smtp://", "smtp://u:p@"]), ("such as smtp://", ["smtp://[::1"]),
        ("valid host name", ["smtp://" + "x" * 64 + ".example"]), ("only options", ["smtp://mail.example/inbox"]),
        ("port from 1 to 65535", ["smtp://mail.example:0", "smtp://mail.example:70000"]),
        ("percent-encoded", ["smtp://u:secret/x@mail.example", "smtp://u:secret#x@mail.example"]),
        ("both a user and a password", ["smtp://u@mail.example", "smtp://:secret@mail.example"]),
        ("printable ASCII", ["smtp://u:secret\N{SNOWMAN}@mail.example", "smtp://u:secret%0D%0A@mail.example"]),
        ("without spaces", ["smtp://u:secret @mail.example"]), ("tls=required", ["smtp://mail.example?tls=maybe"]),
        ("at most once", ["smtp://mail.example?tls=none&tls=required"]),
        ("no options but", ["smtp://mail.example?timeout=3"]), ("with a value", ["smtps://mail.example?cafile="]),
        ("smtps:// without tls=none", ["smtps://mail.example?tls=none"]),
        ("readable cafile", ["smtps://mail.example?cafile=/not/there.pem", "smtps://mail.example?cafile=setup.cfg"]),
    ],
)  # fmt: skip
def test_errors_describe_the_format_without_secrets(expected, urls):
    for url in urls:
        with pytest.raises(ValueError, match=expected) as error:
            parse_smtp_url(url)
        assert "secret" not in str(error.value)
