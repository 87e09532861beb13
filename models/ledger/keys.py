"""The ledger keys of this process (LEDGER_KEYS, rules/ledger/keys.py)."""

from rules.ledger.keys import Keys

_keys: Keys = {}


def use(keys: Keys) -> None:
    """Sign with the first of these keys, and verify with all of them."""
    global _keys
    _keys = keys


def known() -> Keys:
    return _keys


def signing() -> tuple[str, bytes]:
    """Return the id and the secret of the key that signs."""
    return next(iter(_keys.items()))
