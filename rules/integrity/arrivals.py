"""The arrival MAC, which proves that the service accepted an event (docs/integrity.md#arrival).

An event written directly into the database has no valid MAC. Its text is `<key id>:<32 hex digits>`.
"""

from hashlib import sha256
from typing import Any, NamedTuple

from rules.integrity.seal_keys import Keys, mac

_VERSION = "PROOFSTONE-ARRIVAL-V1"


class AcceptedEvent(NamedTuple):
    """The values that an event's MAC covers.

    candidate_key -- in its stored form; binds the event to the session
    received_at -- in the API's format (R25)
    verdict -- None for an event too large to verify on arrival
    channel -- None for the candidate's client
    """

    candidate_key: str
    received_at: str
    late: bool
    verdict: str | None
    envelope_sha256: bytes
    channel: str | None = None

    @classmethod
    def of(cls, envelope: str, **fields: Any) -> "AcceptedEvent":
        return cls(envelope_sha256=sha256(envelope.encode()).digest(), **fields)

    @property
    def _signed_fields(self) -> tuple[str, ...]:
        state = "late" if self.late else "counts"
        values = (self.candidate_key, self.received_at, state, self.verdict or "", self.envelope_sha256.hex())
        return values if self.channel is None else (*values, self.channel)

    def sign(self, key_id: str | None, secret: bytes | None) -> str | None:
        """Return the MAC's text; None without a key."""
        return None if secret is None else f"{key_id}:{self._mac(secret)}"

    def matches(self, text: str, keys: Keys) -> bool:
        """Verify the MAC's text; return False if its key is unknown."""
        key_id, _, digits = text.rpartition(":")
        # Not in constant time: no caller can measure this comparison.
        return key_id in keys and digits == self._mac(keys[key_id])

    def _mac(self, secret: bytes) -> str:
        return mac(secret, _VERSION, *self._signed_fields)[:16].hex()


def get_key_id(text: str) -> str:
    """Return the key id in a MAC's text."""
    return text.rpartition(":")[0]
