"""Ledger entries, and their chain."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from rules.ledger import entries
from rules.ledger.chain import UNVERIFIED, ChainCheck
from rules.ledger.entries import Entry

KEYS = {"a": b"first", "b": b"second"}
SALT = b"salt"


def signed(key_id="a", **changes):
    fields = {"id": "1", "organization_id": "2", "candidate_id": None, "kind": "sessions", "subject": "3"}
    fields |= {
        "version": 1,
        "reason": "created",
        "content": None,
        "content_hash": b"hash",
        "column_digests": b"",
    }
    entry = Entry(**fields | {"key_id": key_id, "signature": b""} | changes)
    return entry._replace(signature=entry.sign((KEYS | {"lost": b"lost", "evil": b"evil"})[key_id]))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "9"}, {"organization_id": "9"}, {"candidate_id": "9"}, {"kind": "scores"}, {"subject": "9"},
        {"version": 2}, {"reason": "changed"}, {"content": "{}"}, {"content_hash": b""}, {"column_digests": b"abcd"},
        {"key_id": "b"}, {"signature": b""},
    ],
)  # fmt: skip
def test_a_signature_covers_every_field(change):
    entry = signed()
    assert entry.is_signed(KEYS) is True
    assert entry._replace(**change).is_signed(KEYS) is False
    assert entry.is_signed({"b": b"second"}) is None


def test_only_a_candidates_entry_stays_signed_without_its_content():
    content = '{"events":[]}'
    fields = {"kind": "events", "content": content, "content_hash": entries.hash_content(content)}
    for candidate_id in ("4", None):
        entry = signed(**fields, candidate_id=candidate_id)
        assert entry.is_signed(KEYS)
        assert entry._replace(content=None).is_signed(KEYS) is (candidate_id is not None)


def test_values_of_different_types_have_different_hashes():
    time = datetime(2026, 4, 1, tzinfo=UTC)
    values = [
        None,
        True,
        1,
        1.5,
        "1",
        "",
        b"1",
        time,
        str(time),
        UUID(int=1),
        str(UUID(int=1)),
        [1],
        {"a": 1},
        "[1]",
    ]
    hashes = {entries.hash_row(SALT, [value])[0] for value in values}
    assert len(hashes) == len(values)
    assert entries.hash_row(SALT, ["1"]) != entries.hash_row(b"other", ["1"])


def test_changed_columns_are_named():
    (_, before), (_, after) = entries.hash_row(SALT, ["a", 1, None]), entries.hash_row(SALT, ["a", 2, ""])
    assert entries.changed_columns(("one", "two", "three"), before, after) == ["two", "three"]
    assert entries.changed_columns(("one", "two"), before[:4], after) == []


@pytest.mark.parametrize(
    "content", [None, "{", "[1]", "7", '{"events": 7}', '{"events": [[1, "a"]]}', "[" * 10**5]
)
def test_foreign_content_lists_nothing(content):
    assert entries.listed(signed(content=content), "events") == {}
    assert entries.introduces(signed(kind="key", content=content)) == {"None"}


def epoch(key_id="a"):
    return {"kind": "epoch", "key_id": key_id, "content_hash": b""}


def introduction(key_id, by="a"):
    content = f'{{"key":"{key_id}"}}'
    return {"kind": "key", "key_id": by, "content": content, "content_hash": entries.hash_content(content)}


def check(*specifications, last_epoch=1):
    """Return the reason for each entry of a chain with valid positions and links."""
    chain, link, reasons = ChainCheck(KEYS, last_epoch), entries.START, []
    for position, changes in enumerate(specifications, 1):
        entry = signed(id=str(position), **changes)
        link = entries.next_link(link, position, entry.id, entry.signature)
        reasons.append(chain.add(entry._replace(position=position, link=link)))
    return reasons


@pytest.mark.parametrize(
    ("chain", "reasons"),
    [
        ([epoch(), {}], [None, None]),
        ([{}], ["changed"]),
        ([epoch(), {"key_id": "b"}], [None, "changed"]),
        ([epoch(), introduction("b"), {"key_id": "b"}], [None, None, None]),
        ([epoch(), introduction("lost"), {"key_id": "lost"}, {}], [None, None, UNVERIFIED, None]),
        ([epoch(), {"key_id": "lost"}], [None, "changed"]),
        ([epoch(), introduction("lost", by="evil"), {"key_id": "lost"}], [None, "changed", "changed"]),
        ([epoch(), epoch("lost")], [None, "changed"]),
        ([epoch("lost"), introduction("b", by="lost"), {"key_id": "b"}], [UNVERIFIED, UNVERIFIED, None]),
    ],
)
def test_keys_must_be_introduced(chain, reasons):
    assert check(*chain) == reasons


def test_epochs_before_a_restart_can_have_an_unknown_key():
    assert check(epoch(), epoch("lost"), epoch("b"), last_epoch=3) == [None, UNVERIFIED, None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"position": 2}, "entry_missing"), ({"link": b""}, "changed"), ({"signature": b""}, "changed")],
)
def test_positions_and_links_are_checked(change, reason):
    entry = signed(**epoch())
    entry = entry._replace(position=1, link=entries.next_link(entries.START, 1, entry.id, entry.signature))
    assert ChainCheck(KEYS, 1).add(entry) is None
    assert ChainCheck(KEYS, 1).add(entry._replace(**change)) == reason
