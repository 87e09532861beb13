"""The server's seal: a hash chain over a session's events in arrival order (docs/integrity.md#server-seal).

Each sealed event has a position (1, 2, 3, ...) and a head: the SHA-256 of the previous head, the event's arrival
number, its `received_at` and the SHA-256 of its stored envelope.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

_VERSION = "PROOFSTONE-SEAL-V1"


class SealedEvent(NamedTuple):
    """A seal with its event as stored now; `head` has 32 bytes.

    `received_at` and `envelope_sha256` are None if the event is missing.
    """

    position: int
    seq: int
    received_at: str | None
    envelope_sha256: bytes | None
    head: bytes


class Break(NamedTuple):
    """A difference between a session and its seals.

    position -- the first position concerned
    seq -- the arrival number of the event that was sealed there, None if its seal is missing too
    reason -- `missing`: the event is missing, and the `events - 1` after it.
        `changed`: the content, the event or the head differs from what was sealed there.
        `head`: the events match their seals, but do not end in the session's head.
    """

    position: int
    seq: int | None
    reason: str
    events: int = 1


def initial_head(session_id: str) -> bytes:
    """The head before a session's first event; it binds the chain to the session."""
    return _hash(session_id)


def next_head(previous_head: bytes, seq: int, received_at: str, envelope_sha256: bytes) -> bytes:
    """The head of an event after `previous_head`.

    seq -- its arrival number
    received_at -- its arrival time in the API's format (R25)
    envelope_sha256 -- of the envelope's text in UTF-8, 32 bytes
    """
    return _hash(previous_head.hex(), str(seq), received_at, envelope_sha256.hex())


def find_breaks(
    session_id: str, rows: Iterable[SealedEvent], head: bytes | None, count: int
) -> Iterator[Break]:
    """Compare a session with its seals; yields the breaks in order.

    rows -- the seals ordered by position
    head, count -- the session's head (None before the first seal) and number of sealed events

    After a break the check continues from the head stored there. The event after a missing seal cannot be checked,
    since the head before it is missing too.
    """
    position, previous = 0, initial_head(session_id)
    for row in rows:
        if row.position > position + 1:
            yield Break(position + 1, None, "missing", row.position - position - 1)
        elif row.position <= position or not _matches(previous, row):
            yield Break(row.position, row.seq, "changed")
        if row.envelope_sha256 is None:
            yield Break(row.position, row.seq, "missing")
        position, previous = row.position, row.head
    if position < count:
        yield Break(position + 1, None, "missing", count - position)
    elif position > count or previous != (head or initial_head(session_id)):
        yield Break(position, None, "head")


def _matches(previous: bytes, row: SealedEvent) -> bool:
    """Compare the head with its event; a missing event is no contradiction."""
    content = row.envelope_sha256
    return content is None or row.head == next_head(previous, row.seq, row.received_at or "", content)


def _hash(*fields: str) -> bytes:
    return sha256("\n".join((_VERSION, *fields)).encode()).digest()
