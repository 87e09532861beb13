"""Seal keys and the MACs that they sign (R43, docs/integrity.md#seal-keys).

A MAC is the HMAC-SHA-256 of its fields under a key. Without a key it is their SHA-256, which anyone can compute. The
first field names the kind of MAC, so that one kind cannot replace another.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

MIN_SECRET_CHARACTERS = 32
NO_SEAL_KEYS = "SEAL_KEYS is not set: anyone who can write to the database can rewrite records undetected."

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
        key_id = key_id or derive_id(secret)
        is_valid = _ID.fullmatch(key_id) and _SECRET.fullmatch(secret)
        if not is_valid or len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"id:secret,... with secrets of at least {MIN_SECRET_CHARACTERS} characters")
        if key_id in keys:
            raise ValueError("a different id for each key")
        keys[key_id] = secret.encode()
    return keys


def derive_id(secret: str) -> str:
    return sha256(f"PROOFSTONE-SEAL-KEY-ID\n{secret}".encode()).hexdigest()[:8]


def generate() -> str:
    """Generate a key, in the form of SEAL_KEYS."""
    secret = secrets.token_hex(32)
    return f"{derive_id(secret)}:{secret}"


def mac(secret: bytes | None, *fields: str) -> bytes:
    """The MAC of the fields, which must not contain line feeds; 32 bytes."""
    message = "\n".join(fields).encode()
    return sha256(message).digest() if secret is None else hmac.digest(secret, message, "sha256")


def matches(secret: bytes | None, stored: bytes | None, *fields: str) -> bool:
    return stored is not None and hmac.compare_digest(stored, mac(secret, *fields))


class Enclosed(NamedTuple):
    """The first position and the number of records whose unknown keys are enclosed by known ones."""

    position: int
    records: int


class UnknownKeys:
    """Counts the records of a chain with unknown keys.

    A key that is unknown at the start was removed from SEAL_KEYS, and one at the end is not in it yet. Between known
    keys it is a break: otherwise, another key id would hide any change.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._follows_known = False
        self._first, self._waiting = 0, 0
        self.count = 0
        self.enclosed: Enclosed | None = None

    def add(self, position: int, key_id: str | None) -> None:
        """Add the next record."""
        if key_id is None:
            return
        if key_id in self._keys:
            self._enclose()
            self._follows_known, self._waiting = True, 0
            return
        self._first = self._first if self._waiting else position
        self._waiting += 1
        self.count += 1

    def _enclose(self) -> None:
        if self._follows_known and self._waiting:
            position, count = self.enclosed or (self._first, 0)
            self.enclosed = Enclosed(position, count + self._waiting)
