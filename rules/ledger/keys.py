"""Ledger keys, and MACs computed with them (R53, docs/integrity.md#keys)."""

import hmac
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256

MIN_SECRET_CHARACTERS = 32

_ID = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_SECRET = re.compile(r"[!-~]+")

Keys = Mapping[str, bytes]  # secrets by key id; the first one signs


def parse_keys(text: str) -> dict[str, bytes]:
    """Parse `id:secret,id:secret`; raises ValueError with the words that follow "expected".

    A secret without an id, as some platforms generate it, gets an id that is derived from it.
    """
    keys: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, _, secret = entry.strip().rpartition(":")
        # `id=secret`; base64 has `=` only at the end.
        is_mistyped = not key_id and "=" in secret.rstrip("=")
        key_id = key_id or derive_id(secret)
        is_valid = not is_mistyped and _ID.fullmatch(key_id) and _SECRET.fullmatch(secret)
        if not is_valid or len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"id:secret,... with secrets of at least {MIN_SECRET_CHARACTERS} characters")
        if key_id in keys:
            raise ValueError("a different id for each key")
        keys[key_id] = secret.encode()
    return keys


def derive_id(secret: str) -> str:
    return sha256(f"PROOFSTONE-LEDGER-KEY-ID\n{secret}".encode()).hexdigest()[:8]


def generate() -> str:
    """Generate a key in the format of LEDGER_KEYS."""
    secret = secrets.token_hex(32)
    return f"{derive_id(secret)}:{secret}"


def mac(secret: bytes, *fields: str) -> bytes:
    """Return the HMAC-SHA-256 of fields without line feeds. The first field names what is signed."""
    return hmac.digest(secret, "\n".join(fields).encode(), "sha256")
