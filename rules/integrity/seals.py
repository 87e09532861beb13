"""The server's seals: a hash chain over a session's events in arrival order (docs/integrity.md#server-seal).

Each sealed event has a position (1, 2, 3, ...) and a head: the MAC (rules/integrity/seal_keys.py) of the previous
head, the event's arrival number, its `received_at` and the SHA-256 of its stored envelope.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from rules.integrity.seal_keys import Keys, UnknownKeys, mac

_VERSION = "PROOFSTONE-SEAL-V1"
_KEYED_VERSION = "PROOFSTONE-SEAL-V2"


class SealedEvent(NamedTuple):
    """A seal and its stored event; `key_id` is None for a seal without a key.

    `received_at` and `envelope_sha256` are None if the event is missing.
    """

    position: int
    seq: int
    received_at: str | None
    envelope_sha256: bytes | None
    head: bytes
    key_id: str | None = None


class Break(NamedTuple):
    """A difference between a session and its seals.

    position -- the first affected position
    seq -- the arrival number of the event sealed at this position; None if the seal is missing or its key is unknown
    reason -- `missing`: this event and the `events - 1` events after it are missing.
        `changed`: the event or its seal differs, or `events` seals have unknown keys between seals with known keys.
        `head`: the events match their seals, but do not end in the session's head.
        `key_unknown`: `events` seals have unknown keys and cannot be checked.
    """

    position: int
    seq: int | None
    reason: str
    events: int = 1


def initial_head(session_id: str) -> bytes:
    """Return the head before a session's first event, which binds the chain to the session."""
    return sha256(f"{_VERSION}\n{session_id}".encode()).digest()


def next_head(
    previous_head: bytes, seq: int, received_at: str, envelope_sha256: bytes, secret: bytes | None = None
) -> bytes:
    """Return an event's head.

    seq -- the arrival number
    received_at -- in the API's format (R25)
    envelope_sha256 -- of the envelope's UTF-8 text
    secret -- the seal key's secret; None without a key
    """
    version = _VERSION if secret is None else _KEYED_VERSION
    return mac(secret, version, previous_head.hex(), str(seq), received_at, envelope_sha256.hex())


def find_breaks(
    session_id: str,
    rows: Iterable[SealedEvent],
    head: bytes | None,
    count: int,
    keys: Keys | None = None,
    key_id: str | None = None,
) -> Iterator[Break]:
    """Yield the breaks between a session and its seals: single seals, unknown keys, then the end.

    rows -- the seals ordered by position
    head, count -- the session's head (None before the first seal) and number of sealed events
    keys -- the known keys
    key_id -- the key of a MAC that is newer than the seals

    After a break, the check continues from the stored head. After a missing seal, the next event cannot be checked,
    because the preceding head is missing. A seal without a key after a seal with a key is a break.
    """
    position, previous, is_keyed, unknown = 0, initial_head(session_id), False, UnknownKeys(keys or {})
    for row in rows:
        is_unknown = row.key_id is not None and row.key_id not in (keys or {})
        unknown.add(row.position, row.key_id)
        lost_key = is_keyed and row.key_id is None
        if row.position > position + 1:
            yield Break(position + 1, None, "missing", row.position - position - 1)
        elif row.position <= position or lost_key or not (is_unknown or _matches(previous, row, keys or {})):
            yield Break(row.position, row.seq, "changed")
        if row.envelope_sha256 is None:
            yield Break(row.position, row.seq, "missing")
        position, previous, is_keyed = row.position, row.head, is_keyed or row.key_id is not None
    unknown.add(position + 1, key_id)
    first, enclosed = unknown.enclosed or (0, 0)
    if enclosed:
        yield Break(first, None, "changed", enclosed)
    if unknown.count > enclosed:
        yield Break(position, None, "key_unknown", unknown.count - enclosed)
    if position < count:
        yield Break(position + 1, None, "missing", count - position)
    elif position > count or previous != (head or initial_head(session_id)):
        yield Break(position, None, "head")


def _matches(previous: bytes, row: SealedEvent, keys: Keys) -> bool:
    """Return whether a seal's head matches its event, or the event is missing."""
    content, secret = row.envelope_sha256, keys[row.key_id] if row.key_id else None
    return content is None or row.head == next_head(previous, row.seq, row.received_at or "", content, secret)
