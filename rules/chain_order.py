"""How the signed events of a session follow one another (contract 7 and 3.15).

Each signed event names the signature of the one before it in `prevSig`. Neither the order of arrival nor the
events' own times tell the same: processes of the client race, and clocks are the candidate's.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# Watchers sign what they read when they read it, with the time at which it happened: seconds ago, after a pause more.
CLOCK_TOLERANCE_NS = 60 * 10**9


class Link(NamedTuple):
    """A signed event in its chain.

    id, sig, prev_sig -- as the client sent them; signatures are compared as texts, no `prev_sig` is None or ""
    time_ns -- its `ts` in nanoseconds since 1970
    seq -- its order of arrival; no two links of a chain have the same
    """

    id: str
    sig: str
    prev_sig: str | None
    time_ns: int
    seq: int


class Chain(NamedTuple):
    """The signed events of a session in the order of their chain, and what stands out: facts, no judgement.

    order -- each link once
    starts -- the links without a predecessor; more than one where a client began anew
    gaps -- the links whose predecessor is not there: lost on its way, as the client sends once, or removed
    forks -- groups of links that name the same predecessor: two machines, or local files put back
    repeats -- groups of links with one and the same signature
    circles -- the first link of each circle; no client makes one
    clock_jumps -- (a link's predecessor, the link) where the clock went back by more than CLOCK_TOLERANCE_NS
    """

    order: list[Link]
    starts: list[Link]
    gaps: list[Link]
    forks: list[list[Link]]
    repeats: list[list[Link]]
    circles: list[Link]
    clock_jumps: list[tuple[Link, Link]]


def chain(links: Iterable[Link]) -> Chain:
    """Put the signed events of one session in the order of their chain, in linear time save for sorting.

    The runs from each start come first, then those after gaps. Among runs, and where a chain forks, the earliest
    goes first, and of equally early ones that which arrived first.
    """
    links = sorted(links, key=lambda link: (link.time_ns, link.seq))
    by_sig = _grouped(links, lambda link: link.sig)
    followers = _grouped([link for link in links if link.prev_sig], lambda link: link.prev_sig or "")
    starts = [link for link in links if not link.prev_sig]
    gaps = [link for link in links if link.prev_sig and link.prev_sig not in by_sig]
    order, circles = _followed([*starts, *gaps], links, dict(followers))
    return Chain(
        order,
        starts,
        gaps,
        forks=[group for group in followers.values() if len(group) > 1],
        repeats=[group for group in by_sig.values() if len(group) > 1],
        circles=circles,
        clock_jumps=list(_clock_jumps(order, by_sig)),
    )


def _grouped(links: Iterable[Link], name: Callable[[Link], str]) -> dict[str, list[Link]]:
    groups: dict[str, list[Link]] = {}
    for link in links:
        groups.setdefault(name(link), []).append(link)
    return groups


def _followed(
    heads: list[Link], links: list[Link], followers: dict[str, list[Link]]
) -> tuple[list[Link], list[Link]]:
    """All links in order, and those from which a circle had to be entered, since no head leads into it."""
    seen: set[int] = set()
    order = [link for head in heads for link in _run(head, followers, seen)]
    circles = []
    for link in links:
        if link.seq not in seen:
            circles.append(link)
            order += _run(link, followers, seen)
    return order, circles


def _run(head: Link, followers: dict[str, list[Link]], seen: set[int]) -> Iterator[Link]:
    """`head` and all that follows it, branch after branch; takes them out of `followers`."""
    waiting = [head]
    while waiting:
        link = waiting.pop()
        if link.seq not in seen:
            seen.add(link.seq)
            yield link
            waiting += reversed(followers.pop(link.sig, []))


def _clock_jumps(order: list[Link], by_sig: dict[str, list[Link]]) -> Iterator[tuple[Link, Link]]:
    for link in order:
        for before in by_sig.get(link.prev_sig or "", [])[:1]:
            if link.time_ns < before.time_ns - CLOCK_TOLERANCE_NS:
                yield before, link
