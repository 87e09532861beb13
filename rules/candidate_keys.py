"""The form of a candidate key: make one, normalise one (R13)."""

import re
import secrets

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_FORM = re.compile(rf"PST-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


def make() -> str:
    """A new key, `PST-XXXX-XXXX`, from the system's cryptographic source."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"PST-{letters[:4]}-{letters[4:]}"


def normalise(text: str) -> str | None:
    """The key as it is stored, or None for what cannot be a key; letter case and outer white space do not count."""
    key = text.strip().upper()
    return key if _FORM.fullmatch(key) else None
