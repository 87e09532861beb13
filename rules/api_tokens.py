"""API tokens, `psk_live_`, and runners' tokens, `psr_`: 178 random bits in base 62, a six-character checksum."""

import hashlib
import hmac
import re
import secrets
import string
import zlib

PREFIX, RUNNER_PREFIX = "psk_live_", "psr_"
_BASE62 = string.digits + string.ascii_letters
_SECRET_LENGTH = 30
_CHECKSUM_LENGTH = 6
_FORMAT = re.compile(
    rf"(?:{PREFIX}|{RUNNER_PREFIX})[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII
)


def generate(prefix: str = PREFIX) -> str:
    """Generate a token from the system's secure random source."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    return prefix + secret + _checksum(secret)


def is_well_formed(token: str, prefix: str = PREFIX) -> bool:
    """Check format and checksum. Rejects mistyped tokens without a query."""
    if not (_FORMAT.fullmatch(token) and token.startswith(prefix)):
        return False
    secret, checksum = token[len(prefix) : -_CHECKSUM_LENGTH], token[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(checksum, _checksum(secret))


def fingerprint(token: str) -> str:
    """Return the token's SHA-256 in hex, as stored. 178 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
