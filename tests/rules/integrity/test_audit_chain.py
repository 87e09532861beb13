"""The audit log's hash chain."""

import pytest

from rules.integrity.audit_chain import Break, ChainedEntry, find_break, initial_hash, next_hash

ORG = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"


def chained(actions):
    entries, head = [], initial_hash(ORG)
    for position, action in enumerate(actions, 1):
        content = {"action": action, "members": ["title"], "actor_name": None}
        head = next_hash(head, position, content)
        entries.append(ChainedEntry(position, content, head))
    return entries


A, B, C = ENTRIES = chained("abc")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (ENTRIES, None),
        ([A, B._replace(content=B.content | {"action": "x"}), C], Break(2, "changed")),
        ([A, C], Break(2, "missing")),
        ([A, B], Break(3, "missing")),
        ([], Break(1, "missing")),
        ([B._replace(position=1), A._replace(position=2), C], Break(1, "changed")),
        (chained("abx"), Break(3, "head")),
        (chained("abcd"), Break(4, "head")),
    ],
)
def test_the_first_break_is_found(entries, expected):
    assert find_break(ORG, entries, C.hash, 3) == expected


def test_entry_hashes_never_change():
    content = {"action": "a", "members": ["title"], "actor_name": "Zoë"}
    expected = "359538d3ca549b52de8382cb7bb1d29aa77d0275887e8ae0db87cca11d458951"
    assert next_hash(initial_hash(ORG), 1, content).hex() == expected


def test_a_chain_belongs_to_one_organization():
    assert find_break("another", ENTRIES, C.hash, 3) == Break(1, "changed")
    assert find_break(ORG, [], None, 0) is None
