"""The audit log's chain: each row is bound to the one before it, so that no row can be changed or removed unseen.

What it does not promise: whoever can write to the whole database can make all hashes anew, and only one that somebody
else has written down tells.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

_VERSION = b"PROOFSTONE-AUDIT-V1"


class Link(NamedTuple):
    """A row as it is in the database now: its place in the chain, what it says, and its hash of 32 bytes."""

    position: int
    facts: dict[str, Any]
    hash: bytes


class Break(NamedTuple):
    """The first place where the log is not as it was chained; `reason` is `missing`, `changed` or `head`."""

    position: int
    reason: str


def beginning(organization_id: str) -> bytes:
    """What stands before the first row; it ties the chain to the organization."""
    return sha256(b"\n".join((_VERSION, organization_id.encode()))).digest()


def link(previous: bytes, position: int, facts: dict[str, Any]) -> bytes:
    """The hash of the row that follows `previous`; `facts` hold only texts, lists of texts and Nones."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(
        b"\n".join((_VERSION, previous.hex().encode(), str(position).encode(), text.encode()))
    ).digest()


def first_break(organization_id: str, rows: Iterable[Link], head: bytes | None, count: int) -> Break | None:
    """Where the log is first broken, or None; rows come by position and may come from a cursor.

    head, count -- the organization's last hash and how many rows there are (None and 0 before the first)
    """
    previous, position = beginning(organization_id), 0
    for row in rows:
        position += 1
        if row.position != position:
            return Break(position, "missing")
        if row.hash != link(previous, position, row.facts):
            return Break(position, "changed")
        previous = row.hash
    if position < count:
        return Break(position + 1, "missing")
    return Break(position, "head") if count and previous != head else None
