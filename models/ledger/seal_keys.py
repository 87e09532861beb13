"""This process's seal keys (SEAL_KEYS, rules/integrity/seal_keys.py)."""

from rules.integrity import seal_keys
from rules.integrity.seal_keys import Keys

_keys: Keys = {}


def use(keys: Keys | None) -> None:
    """Sign with the first of these keys; without keys, seals are hashes that anyone can compute."""
    global _keys
    _keys = keys or {}


def known() -> Keys:
    return _keys


def signing() -> tuple[str | None, bytes | None]:
    """Return the signing key's id and secret; None without a key."""
    return next(iter(_keys.items()), (None, None))


def sign(*fields: str) -> tuple[str | None, bytes | None]:
    """Return the signing key's id and the fields' MAC; None without a key."""
    key_id, secret = signing()
    return key_id, None if secret is None else seal_keys.mac(secret, *fields)


def is_signed(key_id: str | None, mac: bytes | None, *fields: str) -> bool | None:
    """Verify a MAC made by `sign`; return None if its key is unknown.

    A row without a key id and MAC is only valid if no key is configured.
    """
    if key_id is None:
        return not _keys and mac is None
    return seal_keys.matches(_keys[key_id], mac, *fields) if key_id in _keys else None
