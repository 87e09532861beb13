"""The server's own seal: a hash chain over what it accepted for a session, in the order of arrival.

Each sealed event has a position (1, 2, 3, ...) and a head, the SHA-256 over the head before it, its number of
arrival, its moment of arrival and the SHA-256 of its envelope as it is stored.

What it promises: whoever knows a head, because the session's answer showed it, can have proved that no event up to
it has since been changed, removed, added or put in another place; signatures of the client are not needed, and the
members that those do not cover (rules/event_chain.py) are covered. Without a head from outside it still finds
whatever was changed by something that did not make the heads anew: a stray UPDATE, a restored backup, a disk.

What it does not promise: whoever can write to the whole database can make all heads anew, and only a head that
somebody else has written down tells. It says nothing about events that were lost or refused before they were
accepted, nor about those that were accepted and are not sealed yet. Columns beside the envelope are derived from it
and are not sealed.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

_VERSION = b"PROOFSTONE-SEAL-V1"


class Sealed(NamedTuple):
    """A seal, with the event that it closes as it is in the database now; a `head` has 32 bytes.

    `envelope_sha256` is None where the event is gone.
    """

    position: int
    seq: int
    received_at: str | None
    envelope_sha256: bytes | None
    head: bytes


class Break(NamedTuple):
    """Where a session is not as it was sealed.

    position -- the first position concerned
    seq -- the number of arrival of the event that was sealed there, None where its seal is gone too
    reason -- `missing`: the event of this position is gone, and `events - 1` more right behind it.
        `changed`: what stands there is not what was sealed there: another content, another event, another head.
        `head`: the events are as their seals say, but do not end in the session's head.
    """

    position: int
    seq: int | None
    reason: str
    events: int = 1


def beginning(session_id: str) -> bytes:
    """The head before a session's first event; it ties the chain to the session."""
    return sha256(b"\n".join((_VERSION, session_id.encode()))).digest()


def seal(previous_head: bytes, seq: int, received_at: str, envelope_sha256: bytes) -> bytes:
    """The head of an event that is sealed after `previous_head` (`beginning` for the first).

    seq -- the number of its arrival
    received_at -- the moment of its arrival in the API's form of time (R25)
    envelope_sha256 -- of the envelope's text as UTF-8, 32 bytes
    """
    fields = (previous_head.hex(), str(seq), received_at, envelope_sha256.hex())
    return sha256(b"\n".join((_VERSION, *(field.encode() for field in fields)))).digest()


def breaks(session_id: str, rows: Iterable[Sealed], head: bytes | None, count: int) -> Iterator[Break]:
    """Where a session is not as it was sealed, in order; none at all if it is. Rows may come from a cursor.

    rows -- the seals by position
    head, count -- the session's head (None before the first seal) and how many events it closes

    After a break the check goes on from the head that is stored there. What stands right behind a seal that is gone
    cannot be checked by itself, since the head before it is gone too.
    """
    position, previous = 0, beginning(session_id)
    for row in rows:
        if row.position > position + 1:
            yield Break(position + 1, None, "missing", row.position - position - 1)
        elif row.position <= position or (
            row.envelope_sha256 is not None and row.head != _expected(previous, row)
        ):
            yield Break(row.position, row.seq, "changed")
        if row.envelope_sha256 is None:
            yield Break(row.position, row.seq, "missing")
        position, previous = row.position, row.head
    if position < count:
        yield Break(position + 1, None, "missing", count - position)
    elif position > count or previous != (head or beginning(session_id)):
        yield Break(position, None, "head")


def _expected(previous: bytes, row: Sealed) -> bytes:
    return seal(previous, row.seq, row.received_at or "", row.envelope_sha256 or b"")
