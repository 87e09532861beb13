"""The server's seals detect any change to sealed events."""

from hashlib import sha256

import pytest

from rules.integrity.seals import SealedEvent, find_breaks, initial_head, next_head

SESSION = "11111111-1111-4111-8111-111111111111"


def seal(*envelopes: str) -> list[SealedEvent]:
    events, head = [], initial_head(SESSION)
    for position, envelope in enumerate(envelopes, 1):
        seq, received_at = position * 7, f"2026-04-01T09:00:0{position}.000Z"
        digest = sha256(envelope.encode()).digest()
        head = next_head(head, seq, received_at, digest)
        events.append(SealedEvent(position, seq, received_at, digest, head))
    return events


A, B, C, D, E = SEALED = seal("one", "two", "three", "four", "five")


def breaks(rows, session=SESSION) -> list[tuple]:
    return [tuple(broken) for broken in find_breaks(session, rows, E.head, len(SEALED))]


def test_unchanged_events_have_no_break():
    assert breaks(SEALED) == list(find_breaks(SESSION, [], None, 0)) == []


def test_seals_from_another_session_are_detected():
    assert breaks(SEALED, "22222222-2222-4222-8222-222222222222") == [(1, 7, "changed", 1)]


def test_a_head_is_the_documented_hash():
    first = sha256(f"PROOFSTONE-SEAL-V1\n{SESSION}".encode()).hexdigest()
    fields = ("PROOFSTONE-SEAL-V1", first, "7", "2026-04-01T09:00:01.000Z", sha256(b"one").hexdigest())
    assert A.head == sha256("\n".join(fields).encode()).digest()


@pytest.mark.parametrize(
    "change", [{"envelope_sha256": bytes(32)}, {"seq": 22}, {"received_at": "2026-04-01T09:00:03.001Z"}]
)
def test_a_changed_event_is_detected(change):
    changed = C._replace(**change)
    assert breaks([A, B, changed, D, E]) == [(3, changed.seq, "changed", 1)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([B, C, D, E], (1, None, "missing", 1)),
        ([A, B, D, E], (3, None, "missing", 1)),
        ([A, D, E], (2, None, "missing", 2)),
        ([A, B, C, D], (5, None, "missing", 1)),
        ([], (1, None, "missing", 5)),
        # The event is missing, but its seal is not.
        ([A, B, C._replace(received_at=None, envelope_sha256=None), D, E], (3, 21, "missing", 1)),
        # Added twice.
        ([A, B, C, C, D, E], (3, 21, "changed", 1)),
        # Recomputed: the chain does not end at the stored head.
        (seal("one", "two", "THREE", "four", "five"), (5, None, "head", 1)),
    ],
)
def test_removed_added_and_recomputed_events_are_detected(rows, expected):
    assert breaks(rows) == [expected]


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        # Renumbered after a removal.
        ([A, B, D._replace(position=3), E._replace(position=4)], (3, 28, "changed", 1)),
        # Reordered.
        ([A, C._replace(position=2), B._replace(position=3), D, E], (2, 21, "changed", 1)),
        # Appended.
        ([*SEALED, E._replace(position=6)], (6, 35, "changed", 1)),
        # A changed head also breaks the event after it.
        ([A, B, C._replace(head=bytes(32)), D, E], (3, 21, "changed", 1)),
    ],
)
def test_the_first_break_is_reported(rows, first):
    assert breaks(rows)[0] == first
