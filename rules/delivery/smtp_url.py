"""Parse SMTP_URL: server, credentials and encryption for outgoing email.

    smtp://user:password@mail.example.com:587      STARTTLS, required because of the credentials
    smtp://mail.example.com                        port 587; STARTTLS if the server offers it
    smtps://user:password@mail.example.com         implicit TLS, port 465

Options: `?tls=required` requires STARTTLS even without credentials. `?tls=none` disables encryption and sends
credentials in clear text: use it only for a relay on the same machine. `?cafile=FILE` replaces the system's trusted
certificate authorities. Percent-encode special characters (`%40` for `@`). Certificates are always verified.
"""

import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DEFAULT_PORTS = {"smtp": 587, "smtps": 465}
ENCODING_HINT = "special characters in the user and the password are percent-encoded, such as %40 for @"

Encryption = Literal["implicit", "required", "offered", "none"]


@dataclass(frozen=True)
class SmtpServer:
    """An SMTP server. With `offered` encryption, STARTTLS is used if available."""

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: str | None = None

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.cafile)


def parse_smtp_url(url: str) -> SmtpServer:
    """Parse SMTP_URL. Raises ValueError with the expected format; the message never includes the value."""
    parts = _split(url)
    user, password = _credentials(parts)
    options = _options(parts)
    encryption = _encryption(parts.scheme, options.get("tls"), has_login=user is not None)
    server = SmtpServer(*_host_and_port(parts), encryption, user, password, options.get("cafile"))
    try:
        server.tls_context()
    except OSError:  # includes ssl.SSLError
        raise ValueError("a readable cafile with certificates in PEM format") from None
    return server


def _split(url: str) -> SplitResult:
    if not url.isprintable() or " " in url:
        raise ValueError("a URL without spaces and control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("a URL such as smtp://user:password@mail.example.com:587") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("a URL that starts with smtp:// or smtps://")
    if parts.fragment or parts.path not in ("", "/"):
        raise ValueError(f"a URL with only options after host and port; {ENCODING_HINT}")
    return parts


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    if not parts.hostname:
        raise ValueError("a URL with a host")
    try:
        host = parts.hostname.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("a valid host name") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"a port from 1 to 65535; {ENCODING_HINT}")
    return host, port or DEFAULT_PORTS[parts.scheme]


def _credentials(parts: SplitResult) -> tuple[str, str] | tuple[None, None]:
    if parts.username is None and parts.password is None:
        return None, None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user or not password:
        raise ValueError("both a user and a password, or neither")
    # smtplib encodes both as ASCII.
    if not (user + password).isascii() or not (user + password).isprintable():
        raise ValueError("a user and a password of printable ASCII characters")
    return user, password


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= {"tls", "cafile"} or "" in options.values():
        raise ValueError("no options but tls and cafile, each at most once and with a value")
    return options


def _encryption(scheme: str, tls: str | None, *, has_login: bool) -> Encryption:
    if tls not in (None, "required", "none"):
        raise ValueError("tls=required, tls=none or no tls option")
    if scheme == "smtps":
        if tls == "none":
            raise ValueError("smtps:// without tls=none, or smtp:// with it")
        return "implicit"
    if tls == "none":
        return "none"
    return "required" if tls or has_login else "offered"
