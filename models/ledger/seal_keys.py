"""The seal keys of this process (SEAL_KEYS, rules/integrity/seal_keys.py)."""

from rules.integrity import seal_keys
from rules.integrity.seal_keys import Keys

_keys: Keys = {}


def use(keys: Keys | None) -> None:
    """Sign with the first of these keys from now on; without any, seals are hashes that anyone can compute."""
    global _keys
    _keys = keys or {}


def known() -> Keys:
    return _keys


def signing() -> tuple[str | None, bytes | None]:
    """The id and the secret of the key that signs; None without a key."""
    return next(iter(_keys.items()), (None, None))


def sign(*fields: str) -> tuple[str | None, bytes | None]:
    """The signing key's id and the MAC of the fields; None without a key."""
    key_id, secret = signing()
    return key_id, None if secret is None else seal_keys.mac(secret, *fields)


def is_signed(key_id: str | None, mac: bytes | None, *fields: str) -> bool | None:
    """Verify the MAC of a record that `sign` signs; None if its key is unknown.

    Without a key id it must be unsigned, and no key may be configured.
    """
    if key_id is None:
        return not _keys and mac is None
    return seal_keys.matches(_keys[key_id], mac, *fields) if key_id in _keys else None
