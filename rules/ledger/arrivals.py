"""MACs of rows that are inserted often and never change: events, model calls and audit entries.

A row's MAC is its signature. It proves that the service accepted the row: a row that was written directly into the
database has no valid MAC. The worker lists the MACs in ledger entries. The text is `<key id>:<32 hex digits>`.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from rules.ledger.keys import Keys, mac


class AcceptedEvent(NamedTuple):
    """The values that an event's MAC covers.

    candidate_key -- the candidate key in its stored form; binds the event to the session
    received_at -- in the API's format (R25)
    verdict -- None for an event too large to verify at its arrival
    channel -- None for an event of the candidate's client
    """

    candidate_key: str
    received_at: str
    late: bool
    verdict: str | None
    envelope_sha256: str
    channel: str | None = None

    @classmethod
    def of(cls, envelope: str, **fields: Any) -> "AcceptedEvent":
        return cls(envelope_sha256=sha256(envelope.encode()).hexdigest(), **fields)

    def sign(self, key_id: str, secret: bytes) -> str:
        return f"{key_id}:{_digits(secret, 'event', self._text)}"

    def matches(self, text: str, keys: Keys) -> bool:
        """Compare with a MAC's text; False if its key is unknown."""
        return matches(text, "event", self._text, keys) is True

    @property
    def _text(self) -> str:
        # JSON distinguishes null from an empty text or false.
        return json.dumps(self)


def sign(key_id: str, secret: bytes, kind: str, columns: Mapping[str, Any]) -> str:
    """Return the MAC's text for a row's columns, which are JSON values."""
    return f"{key_id}:{_digits(secret, kind, _column_text(columns))}"


def is_signed(text: str | None, kind: str, columns: Mapping[str, Any], keys: Keys) -> bool | None:
    """Return whether a row has the MAC of its columns; None if the key is unknown."""
    return matches(text, kind, _column_text(columns), keys)


def matches(text: str | None, kind: str, content: str, keys: Keys) -> bool | None:
    """Return whether a MAC's text matches the content; None if the key is unknown."""
    key_id, _, digits = (text or "").rpartition(":")
    if key_id not in keys:
        # The service never writes a MAC without a key id.
        return None if key_id else False
    # Not in constant time: no caller can measure this comparison.
    return digits == _digits(keys[key_id], kind, content)


def get_key_id(text: str | None) -> str:
    """Return the key id in a MAC's text, empty if there is none."""
    return (text or "").rpartition(":")[0]


def _column_text(columns: Mapping[str, Any]) -> str:
    return json.dumps(columns, sort_keys=True, separators=(",", ":"))


def _digits(secret: bytes, kind: str, content: str) -> str:
    return mac(secret, f"PROOFSTONE-ARRIVAL-V2 {kind}", content)[:16].hex()
