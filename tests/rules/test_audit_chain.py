"""The audit log's chain: what was changed, removed, added or put elsewhere is found at its first place."""

import pytest

from rules.audit_chain import Break, Link, beginning, first_break, link

ORG = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"


def chained(*actions):
    rows, head = [], beginning(ORG)
    for position, action in enumerate(actions, 1):
        facts = {"action": action, "members": ["title"], "actor_name": None}
        head = link(head, position, facts)
        rows.append(Link(position, facts, head))
    return rows


ROWS = chained("a", "b", "c")
HEAD = ROWS[-1].hash


def test_a_whole_log_has_no_break():
    assert first_break(ORG, ROWS, HEAD, 3) is None
    assert first_break(ORG, [], None, 0) is None


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([ROWS[0], ROWS[1]._replace(facts=ROWS[1].facts | {"action": "x"}), ROWS[2]], Break(2, "changed")),
        ([ROWS[0], ROWS[2]], Break(2, "missing")),
        (ROWS[:2], Break(3, "missing")),
        ([], Break(1, "missing")),
        ([ROWS[1]._replace(position=1), ROWS[0]._replace(position=2), ROWS[2]], Break(1, "changed")),
        (chained("a", "b", "x"), Break(3, "head")),
        (chained("a", "b", "c", "d"), Break(4, "head")),
    ],
)
def test_the_first_break_is_named(rows, broken):
    assert first_break(ORG, rows, HEAD, 3) == broken


def test_a_chain_belongs_to_one_organization():
    assert first_break("another", ROWS, HEAD, 3) == Break(1, "changed")
