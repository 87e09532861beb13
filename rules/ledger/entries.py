"""Ledger entries: signature, link, and the hash of a protected row (docs/integrity.md).

A row's hash is an HMAC with the random salt in the row, so its entry reveals nothing once the row is deleted.
"""

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from rules.ledger.keys import Keys, mac

# Kinds without a row. The kind of a row's entries is its table's name.
EVENTS, KEY, EPOCH, ERASURE, PURGE = "events", "key", "epoch", "erasure", "purge"
ROWLESS_KINDS = frozenset({EVENTS, KEY, EPOCH, ERASURE, PURGE})
# The reason of a deleted row's last entry, and of epochs.
DELETED, RESTORED, RESTARTED = "deleted", "restored", "restarted"

DIGEST_BYTES = 4
START = bytes(32)


class Entry(NamedTuple):
    """An entry, with ids as text.

    subject -- the row's id; for an erasure the candidate's, otherwise the entry's own
    version -- 1, 2, ... for each subject of a kind
    content -- JSON text of an entry without a row; null for a row, and after an erasure
    content_hash -- empty if the row did not match its previous entry before the change, and for a deleted row
    column_digests -- DIGEST_BYTES for each protected column in the declared order; they only name the changed columns
    position, link -- null until the worker numbers the entry
    """

    id: str
    organization_id: str
    candidate_id: str | None
    kind: str
    subject: str
    version: int
    reason: str
    content: str | None
    content_hash: bytes
    column_digests: bytes
    key_id: str
    signature: bytes
    position: int | None = None
    link: bytes | None = None

    def sign(self, secret: bytes) -> bytes:
        ids = (self.id, self.organization_id, self.candidate_id or "", self.kind, self.subject)
        hashes = (self.content_hash.hex(), self.column_digests.hex(), self.key_id)
        return mac(secret, "PROOFSTONE-LEDGER-V1", *ids, str(self.version), self.reason, *hashes)

    def is_signed(self, keys: Keys) -> bool | None:
        """Return whether the service signed the entry; None if the key is unknown."""
        if self.key_id not in keys:
            return None
        if self.content is not None:
            has_content = hash_content(self.content) == self.content_hash
        else:
            # Only an erasure drops an entry's content.
            is_row = self.kind not in ROWLESS_KINDS
            has_content = is_row or not self.content_hash or self.candidate_id is not None
        return has_content and hmac.compare_digest(self.signature, self.sign(keys[self.key_id]))

    @property
    def parsed_content(self) -> dict[str, Any]:
        """The content; empty if it is not a JSON object, which the service never writes."""
        try:
            value = json.loads(self.content or "{}")
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def introduces(entry: Entry) -> set[str]:
    """Return the ids of the keys that an entry introduces: with an epoch its own, with a key that one."""
    if entry.kind == KEY:
        return {str(entry.parsed_content.get("key"))}
    return {entry.key_id} if entry.kind == EPOCH else set()


def listed(entry: Entry, part: str) -> dict[str, str]:
    """Return the MACs that an entry lists, by row id."""
    pairs = entry.parsed_content.get(part)
    if not isinstance(pairs, list):
        return {}
    is_pair = (isinstance(pair, list) and [type(each) for each in pair] == [str, str] for pair in pairs)
    return dict(pairs) if all(is_pair) else {}


def next_link(previous: bytes, position: int, entry_id: str, signature: bytes) -> bytes:
    """Return the link of the entry that follows the one with the link `previous`."""
    return sha256(b"\n".join((previous, str(position).encode(), entry_id.encode(), signature))).digest()


def hash_content(content: str) -> bytes:
    return sha256(content.encode()).digest()


def hash_row(salt: bytes, values: Sequence[Any]) -> tuple[bytes, bytes]:
    """Return the content hash and the column digests of a row's stored values."""
    texts = [json.dumps(_normalized(value), sort_keys=True) for value in values]
    digests = [hmac.digest(salt, f"{number}\n{text}".encode(), "sha256") for number, text in enumerate(texts)]
    content = hmac.digest(salt, "\n".join(texts).encode(), "sha256")
    return content, b"".join(digest[:DIGEST_BYTES] for digest in digests)


def changed_columns(names: Sequence[str], recorded: bytes, stored: bytes) -> list[str]:
    """Return the names of the columns whose digests differ."""
    pairs = zip(names, _split(recorded), _split(stored), strict=False)
    return [name for name, before, after in pairs if before != after]


def _split(digests: bytes) -> list[bytes]:
    return [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)]


def _normalized(value: Any) -> Any:
    """Convert a value from the database to JSON; values of different types never become equal."""
    match value:
        case None | bool() | int() | str():
            return value
        case datetime():
            return {"time": value.astimezone(UTC).isoformat()}
        case UUID():
            return {"id": value.hex}
        case bytes() | memoryview():
            return {"bytes": bytes(value).hex()}
        case list() | dict():
            return {"json": value}
    return {type(value).__name__: repr(value)}
