"""Addresses for mail headers, safe against header injection.

Python's `email` package decodes RFC 2047 words (`=?utf-8?q?...?=`) in header values and writes line breaks in them as
new header lines. Names are therefore sanitized first.
"""

from email.headerregistry import Address
from email.utils import getaddresses

from rules.plain_text import one_line

MAX_NAME_CHARACTERS = 80
SENDER_FORMAT = "one address such as Proofstone <no-reply@example.com>"


def parse_sender(text: str) -> Address:
    """Parse MAIL_FROM. Raises ValueError with the expected format."""
    named = getaddresses([text])
    if len(named) != 1 or not text.isprintable() or not named[0][1].isascii():
        raise ValueError(SENDER_FORMAT)
    try:
        return header_address(*named[0])
    except ValueError:
        raise ValueError(SENDER_FORMAT) from None


def header_address(name: str, address: str) -> Address:
    """An address for a header. Raises ValueError if no header can contain it.

    The domain is encoded as ASCII (IDNA); a non-ASCII local part needs SMTPUTF8.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain or "=?" in address or one_line(address, len(address)).split() != [address]:
        raise ValueError("The address cannot be used in a mail header.")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("The domain of the address is invalid.") from None
    return Address(header_text(name), local, ascii_domain)


def header_text(text: str) -> str:
    """Text for a header: one short line without encoded words."""
    return one_line(text.replace("=?", "= ?"), MAX_NAME_CHARACTERS)
