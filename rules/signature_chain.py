"""The order of a session's signed events (contract 7 and 3.15).

Each signed event names the signature of the one before it in `prevSig`. Neither arrival order nor event times can
replace it: the client's processes race, and clocks are the candidate's.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# Watchers sign events when they read them, with the time at which they happened: seconds ago, or more after a pause.
CLOCK_TOLERANCE_NS = 60 * 10**9


class SignedLink(NamedTuple):
    """A signed event in its chain.

    id, sig, prev_sig -- as the client sent them; `prev_sig` is None or "" at a start
    time_ns -- its `ts` in nanoseconds since 1970
    seq -- its arrival number, unique within a chain
    """

    id: str
    sig: str
    prev_sig: str | None
    time_ns: int
    seq: int


class SignatureChain(NamedTuple):
    """A session's signed events in chain order, and the irregularities.

    order -- each link once
    starts -- links without a predecessor; more than one if a client started over
    gaps -- links whose predecessor is missing: lost in transit, since clients send once, or removed
    forks -- groups of links with the same predecessor: two machines, or restored local files
    repeats -- groups of links with the same signature
    cycles -- the first link of each cycle; no client makes one
    clock_jumps -- (predecessor, link) where the clock went back by more than CLOCK_TOLERANCE_NS
    """

    order: list[SignedLink]
    starts: list[SignedLink]
    gaps: list[SignedLink]
    forks: list[list[SignedLink]]
    repeats: list[list[SignedLink]]
    cycles: list[SignedLink]
    clock_jumps: list[tuple[SignedLink, SignedLink]]


def order_chain(links: Iterable[SignedLink]) -> SignatureChain:
    """Put the signed events of one session in chain order.

    Runs from each start come first, then those after gaps. Among runs and at forks the earliest link goes first;
    ties by arrival.
    """
    links = sorted(links, key=lambda link: (link.time_ns, link.seq))
    by_sig = _group(links, lambda link: link.sig)
    followers = _group([link for link in links if link.prev_sig], lambda link: link.prev_sig or "")
    starts = [link for link in links if not link.prev_sig]
    gaps = [link for link in links if link.prev_sig and link.prev_sig not in by_sig]
    order, cycles = _follow([*starts, *gaps], links, dict(followers))
    return SignatureChain(
        order,
        starts,
        gaps,
        forks=[group for group in followers.values() if len(group) > 1],
        repeats=[group for group in by_sig.values() if len(group) > 1],
        cycles=cycles,
        clock_jumps=list(_clock_jumps(order, by_sig)),
    )


def _group(links: Iterable[SignedLink], key: Callable[[SignedLink], str]) -> dict[str, list[SignedLink]]:
    groups: dict[str, list[SignedLink]] = {}
    for link in links:
        groups.setdefault(key(link), []).append(link)
    return groups


def _follow(
    heads: list[SignedLink], links: list[SignedLink], followers: dict[str, list[SignedLink]]
) -> tuple[list[SignedLink], list[SignedLink]]:
    """All links in order, and the first link of each cycle, which no head leads to."""
    seen: set[int] = set()
    order = [link for head in heads for link in _run(head, followers, seen)]
    cycles = []
    for link in links:
        if link.seq not in seen:
            cycles.append(link)
            order += _run(link, followers, seen)
    return order, cycles


def _run(head: SignedLink, followers: dict[str, list[SignedLink]], seen: set[int]) -> Iterator[SignedLink]:
    """`head` and the links after it, branch by branch; removes them from `followers`."""
    waiting = [head]
    while waiting:
        link = waiting.pop()
        if link.seq not in seen:
            seen.add(link.seq)
            yield link
            waiting += reversed(followers.pop(link.sig, []))


def _clock_jumps(
    order: list[SignedLink], by_sig: dict[str, list[SignedLink]]
) -> Iterator[tuple[SignedLink, SignedLink]]:
    for link in order:
        for before in by_sig.get(link.prev_sig or "", [])[:1]:
            if link.time_ns < before.time_ns - CLOCK_TOLERANCE_NS:
                yield before, link
