"""The form of a candidate key: make one, normalise one (R13)."""

import os
import re

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_FORM = re.compile(rf"PST-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")
# Each letter for as many of the bytes; those that are left over mean none, so that no letter comes more often.
_LETTERS = (ALPHABET * (256 // len(ALPHABET))).encode()
_LEFT_OVER = bytes(range(len(_LETTERS), 256))
_LETTER_OF = _LETTERS.ljust(256)


def make() -> str:
    """A new key, `PST-XXXX-XXXX`, from the system's cryptographic source.

    Sixteen bytes at once: 1 us, where `secrets.choice` took 8 for its eight letters.
    """
    letters = ""
    while len(letters) < 8:
        letters += os.urandom(16).translate(_LETTER_OF, _LEFT_OVER).decode()
    return f"PST-{letters[:4]}-{letters[4:8]}"


def normalise(text: str) -> str | None:
    """The key as it is stored, or None for what cannot be a key; letter case and outer white space do not count."""
    key = text.strip()
    # Of letters that are none of ours some are once they are large: `ß` is two of them.
    return key.upper() if key.isascii() and _FORM.fullmatch(key.upper()) else None
