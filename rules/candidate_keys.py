"""Candidate keys, `PST-XXXX-XXXX`: generate and normalize (R13)."""

import re
import secrets

MASKED = "PST-****-****"
ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_FORMAT = re.compile(rf"PST-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


def generate() -> str:
    """Generate a key from the system's secure random source."""
    # Draw one number for all letters: each draw is a system call.
    number, letters = secrets.randbelow(len(ALPHABET) ** 8), ""
    for _ in range(8):
        number, index = divmod(number, len(ALPHABET))
        letters += ALPHABET[index]
    return f"PST-{letters[:4]}-{letters[4:]}"


def normalize(text: str) -> str | None:
    """Return a key in the form in which it is stored, or None if the text is not a key. Ignores case."""
    key = text.strip()
    # Some non-ASCII letters become ASCII in upper case: `ß` becomes `SS`.
    return key.upper() if key.isascii() and _FORMAT.fullmatch(key.upper()) else None
