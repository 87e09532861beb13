"""Distribute sessions among reviewers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any


def distribute(
    sessions: Sequence[Any],
    reviewers: Sequence[Any],
    per_session: int,
    existing: Iterable[tuple[Any, Any]],
    random: Random,
) -> list[tuple[Any, Any]]:
    """Return new pairs of session and reviewer, so that each session has `per_session` reviewers.

    Reviewers with the fewest sessions come first, in random order.

    existing -- pairs that exist, including those of other reviewers
    """
    taken = set(existing)
    loads, counts = Counter(reviewer for _, reviewer in taken), Counter(session for session, _ in taken)
    pairs: list[tuple[Any, Any]] = []
    for session in random.sample(list({*sessions}), k=len({*sessions})):
        free = [reviewer for reviewer in {*reviewers} if (session, reviewer) not in taken]
        free.sort(key=lambda reviewer: (loads[reviewer], random.random()))
        chosen = free[: max(0, per_session - counts[session])]
        loads.update(chosen)
        pairs += [(session, reviewer) for reviewer in chosen]
    return pairs
