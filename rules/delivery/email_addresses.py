"""Build header-safe email addresses, and normalize mailboxes.

Python's `email` package decodes RFC 2047 encoded words (`=?utf-8?q?...?=`) in header values, and line breaks in them
become new header lines.
"""

import re
import string
import unicodedata
from email.headerregistry import Address
from email.utils import getaddresses

from rules.plain_text import one_line

MAX_NAME_CHARACTERS = 80
_ENCODED_DOMAIN = re.compile(r"[a-z0-9.-]+", re.IGNORECASE)
_QUOTED_PAIR = re.compile(r"\\(.)")
_LOWERCASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
SENDER_FORMAT = "one address such as Proofstone <no-reply@example.com>"


def parse_sender(text: str) -> Address:
    """Parse MAIL_FROM. Raises ValueError with the expected format."""
    addresses = getaddresses([text])
    if len(addresses) != 1 or not text.isprintable() or not addresses[0][1].isascii():
        raise ValueError(SENDER_FORMAT)
    try:
        return header_address(*addresses[0])
    except ValueError:
        raise ValueError(SENDER_FORMAT) from None


def header_address(name: str, address: str) -> Address:
    """Build an address for a header. Raises ValueError if it cannot be used in a header.

    Encodes the domain as ASCII (IDNA). A non-ASCII local part needs SMTPUTF8.
    """
    local, domain = _split(address)
    text = f"{local}@{domain}"
    if not local or not domain or "=?" in text or one_line(text, len(text)).split() != [text]:
        raise ValueError("The address cannot be used in an email header.")
    return Address(header_text(name), local, _ascii_domain(domain))


def mailbox(address: str) -> str:
    """Normalize an address: ASCII domain, and local part in normalized case and width.

    An address with an invalid domain is only case-folded, because no email can be sent to it.
    """
    local, domain = _split(address)
    try:
        ascii_domain = _ascii_domain(domain).lower().rstrip(".")
    except ValueError:
        return address.casefold()
    return f"{unicodedata.normalize('NFKC', local).casefold()}@{ascii_domain}"


def exact_address(address: str) -> str:
    """Normalize an address: ASCII letters in lowercase, and ASCII domain.

    `mailbox` also merges addresses that can belong to different people, such as `groß@` and `gross@`.
    """
    local, domain = _split(address.translate(_LOWERCASE))
    try:
        encoded = _ascii_domain(domain)
        if encoded.encode("ascii").decode("idna") == domain.lower():
            domain = encoded
    except ValueError:
        pass
    return f"{local}@{domain.rstrip('.')}"


def unicode_domain(domain: str) -> str:
    """Return a domain in Unicode, such as `müller.example` for `xn--mller-kva.example`."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def _split(address: str) -> tuple[str, str]:
    """Return the local part without quotes, and the domain."""
    local, _, domain = address.rpartition("@")
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    return local, domain


def _ascii_domain(domain: str) -> str:
    """Encode the domain with IDNA. Raises ValueError."""
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna").decode("ascii")
    except UnicodeError:
        encoded = ""
    # IDNA converts full-width punctuation, which could add a second @.
    if not _ENCODED_DOMAIN.fullmatch(encoded):
        raise ValueError("The domain of the address is invalid.")
    return encoded


def header_text(text: str) -> str:
    """Return a short line for a header, without encoded words."""
    return one_line(text.replace("=?", "= ?"), MAX_NAME_CHARACTERS)
