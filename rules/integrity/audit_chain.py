"""The audit log's hash chain, which detects changed and removed entries (docs/integrity.md#audit-log)."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from rules.integrity.seal_keys import Keys, UnknownKeys, mac

_VERSION = "PROOFSTONE-AUDIT-V1"
_KEYED_VERSION = "PROOFSTONE-AUDIT-V2"
ENTRY_VERSION = "PROOFSTONE-AUDIT-ENTRY-V1"


class ChainedEntry(NamedTuple):
    """A stored entry; `key_id` is None for an entry chained without a key."""

    position: int
    content: dict[str, Any]
    hash: bytes
    key_id: str | None = None


class Break(NamedTuple):
    """The first difference; `reason` is `missing`, `changed` or `head`."""

    position: int
    reason: str


def initial_hash(organization_id: str) -> bytes:
    """Return the hash before the first entry, which binds the chain to the organization."""
    return sha256(f"{_VERSION}\n{organization_id}".encode()).digest()


def next_hash(previous: bytes, position: int, content: dict[str, Any], secret: bytes | None = None) -> bytes:
    version = _KEYED_VERSION if secret else _VERSION
    return mac(secret, version, previous.hex(), str(position), content_text(content))


def content_text(content: dict[str, Any]) -> str:
    """Return an entry's content in the form that the MACs cover."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def find_break(
    organization_id: str,
    entries: Iterable[ChainedEntry],
    head: bytes | None,
    count: int,
    keys: Keys | None = None,
    key_id: str | None = None,
) -> Break | None:
    """Return the first break in an organization's log, or None.

    entries -- ordered by position
    head, count, key_id -- the organization's last hash (None before the first entry), its number of entries, and the
        key that signs them
    keys -- the known keys; entries with unknown keys are not checked

    An entry with an unknown key between entries with known keys is a break: any other key id could hide a change.
    """
    previous, position, is_keyed = initial_hash(organization_id), 0, False
    unknown = UnknownKeys(keys or {})
    for entry in entries:
        position += 1
        if entry.position != position:
            return Break(position, "missing")
        if (is_keyed and entry.key_id is None) or not _matches(previous, entry, keys or {}):
            return Break(position, "changed")
        unknown.add(position, entry.key_id)
        if unknown.enclosed:
            return Break(unknown.enclosed.position, "changed")
        previous, is_keyed = entry.hash, entry.key_id is not None
    if position < count:
        return Break(position + 1, "missing")
    if position > count or previous != (head or initial_hash(organization_id)):
        return Break(position, "head")
    unknown.add(position + 1, key_id)
    return Break(unknown.enclosed.position, "changed") if unknown.enclosed else None


def _matches(previous: bytes, entry: ChainedEntry, keys: Keys) -> bool:
    if entry.key_id is not None and entry.key_id not in keys:
        return True
    secret = keys[entry.key_id] if entry.key_id else None
    return entry.hash == next_hash(previous, entry.position, entry.content, secret)
