from hashlib import sha256

import pytest

from rules.seals import Sealed, beginning, breaks, seal

SESSION = "11111111-1111-4111-8111-111111111111"


def sealed(*envelopes: str) -> list[Sealed]:
    rows, head = [], beginning(SESSION)
    for position, envelope in enumerate(envelopes, 1):
        seq, received_at = position * 7, f"2026-04-01T09:00:0{position}.000Z"
        digest = sha256(envelope.encode()).digest()
        head = seal(head, seq, received_at, digest)
        rows.append(Sealed(position, seq, received_at, digest, head))
    return rows


def found(rows: list[Sealed], original: list[Sealed]) -> list[tuple]:
    return [tuple(each) for each in breaks(SESSION, rows, original[-1].head, len(original))]


@pytest.fixture
def rows() -> list[Sealed]:
    return sealed("one", "two", "three", "four", "five")


def test_what_is_as_it_was_sealed_has_no_break(rows):
    assert found(rows, rows) == []


def test_a_session_without_seals_has_no_break():
    assert list(breaks(SESSION, [], None, 0)) == []


def test_a_head_has_32_bytes_and_depends_on_all_that_is_sealed(rows):
    first = rows[0]
    fields = (beginning(SESSION), first.seq, first.received_at, first.envelope_sha256)
    others = (
        beginning("another"),
        first.seq + 1,
        first.received_at.replace("09", "10"),
        sha256(b"ONE").digest(),
    )
    heads = {seal(*fields)}
    for place, other in enumerate(others):
        heads.add(seal(*fields[:place], other, *fields[place + 1 :]))
    assert {len(head) for head in heads} == {32}
    assert len(heads) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"envelope_sha256": sha256(b"Three").digest()},
        {"seq": 22},
        {"received_at": "2026-04-01T09:00:03.001Z"},
    ],
)
def test_a_changed_row_is_named(rows, change):
    changed = [*rows[:2], rows[2]._replace(**change), *rows[3:]]
    assert found(changed, rows) == [(3, changed[2].seq, "changed", 1)]


def test_a_changed_head_is_named_with_the_row_that_follows_it(rows):
    changed = [*rows[:2], rows[2]._replace(head=bytes(32)), *rows[3:]]
    assert [each[0] for each in found(changed, rows)] == [3, 4]


def test_a_removed_row_is_named_wherever_it_stood(rows):
    assert found(rows[1:], rows) == [(1, None, "missing", 1)]
    assert found([*rows[:2], *rows[3:]], rows) == [(3, None, "missing", 1)]
    assert found([*rows[:1], *rows[3:]], rows) == [(2, None, "missing", 2)]
    assert found(rows[:-1], rows) == [(5, None, "missing", 1)]
    assert found([], rows) == [(1, None, "missing", 5)]


def test_a_removed_row_cannot_be_hidden_by_counting_anew(rows):
    closed_up = [*rows[:2], *(row._replace(position=row.position - 1) for row in rows[3:])]
    assert found(closed_up, rows)[0] == (3, 28, "changed", 1)


def test_an_exchanged_pair_is_named(rows):
    second, third = rows[1:3]
    exchanged = [
        rows[0],
        second._replace(envelope_sha256=third.envelope_sha256),
        third._replace(envelope_sha256=second.envelope_sha256),
        *rows[3:],
    ]
    assert found(exchanged, rows) == [(2, 14, "changed", 1), (3, 21, "changed", 1)]
    moved = [rows[0], third._replace(position=2), second._replace(position=3), *rows[3:]]
    assert found(moved, rows)[0] == (2, 21, "changed", 1)


def test_an_added_row_is_named(rows):
    added = [*rows, rows[-1]._replace(position=6)]
    assert found(added, rows)[0] == (6, 35, "changed", 1)
    twice = [*rows[:3], rows[2], *rows[3:]]
    assert found(twice, rows) == [(3, 21, "changed", 1)]


def test_a_chain_made_anew_does_not_end_in_the_head_that_was_known(rows):
    anew = sealed("one", "two", "THREE", "four", "five")
    assert found(anew, rows) == [(5, None, "head", 1)]


def test_a_chain_of_another_session_does_not_fit(rows):
    other = list(breaks("22222222-2222-4222-8222-222222222222", rows, rows[-1].head, 5))
    assert [(each.position, each.reason) for each in other] == [(1, "changed")]
