"""API tokens: `psk_live_`, 178 random bits in base 62, a six-character checksum."""

import hashlib
import hmac
import re
import secrets
import string
import zlib

PREFIX = "psk_live_"
_BASE62 = string.digits + string.ascii_letters
_SECRET_LENGTH = 30
_CHECKSUM_LENGTH = 6
_FORMAT = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII)


def generate() -> str:
    """Generate a token from the system's secure random source."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    return PREFIX + secret + _checksum(secret)


def is_well_formed(text: str) -> bool:
    """Check format and checksum. Rejects a mistyped token without a query."""
    if not _FORMAT.fullmatch(text):
        return False
    secret, checksum = text[len(PREFIX) : -_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(checksum, _checksum(secret))


def fingerprint(token: str) -> str:
    """Return the stored SHA-256 in hex; a plain hash is enough for 178 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
