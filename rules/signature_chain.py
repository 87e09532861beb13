"""The order of a session's signed events (contract 7 and 3.15).

Each signed event names the signature of its predecessor in `prevSig`. Arrival order and event times are no
substitute: the client's processes race, and the clock is the candidate's.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple

# The client signs an event when it reads it, seconds or more after the event's own time.
CLOCK_TOLERANCE_NS = 60 * 10**9


class SignedLink(NamedTuple):
    """A signed event in its chain.

    seq -- its arrival number, unique within a chain
    time_ns -- its `ts` in nanoseconds since 1970
    sig, prev_sig -- SHA-256 of these members, which have any length; `prev_sig` is None at a start
    """

    seq: int
    time_ns: int
    sig: bytes
    prev_sig: bytes | None

    @classmethod
    def of(cls, seq: int, time_ns: int, sig: str, prev_sig: str | None) -> "SignedLink":
        """The link of an event with these signatures, as the client sent them."""
        return cls(seq, time_ns, _digest(sig), _digest(prev_sig) if prev_sig else None)


def _digest(signature: str) -> bytes:
    return sha256(signature.encode("utf-8", "surrogatepass")).digest()


class SignatureChain(NamedTuple):
    """A session's signed events in chain order, and the irregularities.

    order -- each link once
    starts -- links without a predecessor
    gaps -- links whose predecessor is missing
    forks -- groups of links with the same predecessor
    repeats -- groups of links with the same signature
    cycles -- the first link of each cycle
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

    Runs from each start come first, then those after gaps. Among runs and at forks the earliest link comes first, ties
    by arrival.
    """
    links = sorted(links, key=lambda link: (link.time_ns, link.seq))
    by_sig = _group(links, lambda link: link.sig)
    followers = _group([link for link in links if link.prev_sig], lambda link: link.prev_sig or b"")
    forks = [group for group in followers.values() if len(group) > 1]
    starts = [link for link in links if not link.prev_sig]
    gaps = [link for link in links if link.prev_sig and link.prev_sig not in by_sig]
    order: dict[int, SignedLink] = {}  # by arrival number
    for head in starts + gaps:
        _follow(head, followers, order)
    cycles = []
    for link in links:
        if link.seq not in order:
            cycles.append(link)
            _follow(link, followers, order)
    return SignatureChain(
        list(order.values()),
        starts,
        gaps,
        forks,
        repeats=[group for group in by_sig.values() if len(group) > 1],
        cycles=cycles,
        clock_jumps=[
            (before, link)
            for link in order.values()
            for before in by_sig.get(link.prev_sig or b"", [])[:1]
            if link.time_ns < before.time_ns - CLOCK_TOLERANCE_NS
        ],
    )


def _group(links: Iterable[SignedLink], key: Callable[[SignedLink], bytes]) -> dict[bytes, list[SignedLink]]:
    groups: dict[bytes, list[SignedLink]] = {}
    for link in links:
        groups.setdefault(key(link), []).append(link)
    return groups


def _follow(head: SignedLink, followers: dict[bytes, list[SignedLink]], order: dict[int, SignedLink]) -> None:
    """Move `head` and the links after it from `followers` to `order`, branch by branch."""
    waiting = [head]
    while waiting:
        link = waiting.pop()
        if link.seq not in order:
            order[link.seq] = link
            waiting += reversed(followers.pop(link.sig, []))
