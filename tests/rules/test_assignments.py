"""Even distribution of sessions among reviewers."""

from collections import Counter
from itertools import product
from random import Random

import pytest

from rules.assignments import distribute

SESSIONS, REVIEWERS = range(40), ("Ann", "Bob", "Carol")


def counts(pairs, position):
    return Counter(pair[position] for pair in pairs)


@pytest.mark.parametrize(("seed", "per_session"), [*product(range(5), (1, 2, 3))])
def test_each_session_gets_its_reviewers_and_each_reviewer_an_even_share(seed, per_session):
    pairs = distribute(SESSIONS, REVIEWERS, per_session, [], Random(seed))
    assert counts(pairs, 0) == dict.fromkeys(SESSIONS, per_session)
    assert len(set(pairs)) == len(pairs)
    loads = counts(pairs, 1).values()
    assert max(loads) - min(loads) <= 1


def test_existing_assignments_count():
    existing = [(session, "Ann") for session in range(20)]
    pairs = distribute(SESSIONS, REVIEWERS, 1, existing, Random(1))
    assert counts(pairs, 0) == dict.fromkeys(range(20, 40), 1)
    assert counts(pairs, 1) == {"Bob": 10, "Carol": 10}
    assert distribute(SESSIONS, REVIEWERS, 1, [*existing, *pairs], Random(1)) == []


def test_a_session_gets_fewer_reviewers_if_there_are_too_few():
    pairs = distribute([1], ["Ann", "Bob"], 3, [(1, "Ann")], Random(1))
    assert pairs == [(1, "Bob")]


def test_the_distribution_is_random():
    first, second = (set(distribute(SESSIONS, REVIEWERS, 1, [], Random(seed))) for seed in (1, 2))
    assert first != second
