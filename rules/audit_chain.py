"""The audit log's hash chain, which detects changed and removed entries.

A rewrite of the whole database goes undetected unless a hash was copied elsewhere before.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

_VERSION = "PROOFSTONE-AUDIT-V1"


class ChainedEntry(NamedTuple):
    """An entry as stored now; `hash` has 32 bytes."""

    position: int
    content: dict[str, Any]
    hash: bytes


class Break(NamedTuple):
    """The first difference; `reason` is `missing`, `changed` or `head`."""

    position: int
    reason: str


def initial_hash(organization_id: str) -> bytes:
    """The hash before the first entry; it binds the chain to the organization."""
    return _hash(organization_id)


def next_hash(previous: bytes, position: int, content: dict[str, Any]) -> bytes:
    """The hash after `previous`; `content` has only strings, lists of strings and None."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return _hash(previous.hex(), str(position), text)


def find_break(
    organization_id: str, entries: Iterable[ChainedEntry], head: bytes | None, count: int
) -> Break | None:
    """The first break of an organization's log, or None.

    entries -- ordered by position
    head, count -- the organization's last hash and number of entries (None and 0 before the first)
    """
    previous, position = initial_hash(organization_id), 0
    for entry in entries:
        position += 1
        if entry.position != position:
            return Break(position, "missing")
        if entry.hash != next_hash(previous, position, entry.content):
            return Break(position, "changed")
        previous = entry.hash
    if position < count:
        return Break(position + 1, "missing")
    return Break(position, "head") if count and previous != head else None


def _hash(*fields: str) -> bytes:
    return sha256("\n".join((_VERSION, *fields)).encode()).digest()
