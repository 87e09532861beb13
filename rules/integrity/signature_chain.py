"""Order a session's signed events (contract 7 and 3.15).

Each signed event includes its predecessor's signature as `prevSig`. This order can differ from arrival order and event
times: the client's processes race, and the candidate can change the clock.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

# The client signs an event when it reads it, which can be seconds or more after the event's time.
CLOCK_TOLERANCE_NS = 60 * 10**9
DIGEST_BYTES = 16


class SignedLink(NamedTuple):
    """A signed event in its chain.

    seq -- arrival number, unique within a chain
    time_ns -- `ts` in nanoseconds since 1970
    sig, prev_sig -- digests of these fields; `prev_sig` is None for the first event of a chain
    """

    seq: int
    time_ns: int
    sig: bytes
    prev_sig: bytes | None

    @classmethod
    def from_signatures(cls, seq: int, time_ns: int, sig: str, prev_sig: str | None) -> "SignedLink":
        return cls(seq, time_ns, _digest(sig), _digest(prev_sig) if prev_sig else None)


def _digest(signature: str) -> bytes:
    return sha256(signature.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


class SignatureChain(NamedTuple):
    """A session's signed events in chain order, and the chain's anomalies, as arrival numbers.

    order -- all events
    starts -- events without a predecessor
    gaps -- events with a missing predecessor
    forks -- groups of events with the same predecessor
    repeats -- groups of events with the same signature
    cycles -- the first event of each cycle
    clock_jumps -- pairs of (predecessor, event) where the clock moved backward by more than CLOCK_TOLERANCE_NS
    """

    order: Sequence[int]
    starts: Sequence[int]
    gaps: Sequence[int]
    forks: list[Sequence[int]]
    repeats: list[Sequence[int]]
    cycles: Sequence[int]
    clock_jumps: list[Sequence[int]]


def order_chain(signed_links: Iterable[SignedLink]) -> SignatureChain:
    """Put a session's signed events in chain order.

    Runs that begin at a start precede runs after a gap. Runs and forks are ordered by their earliest link; ties are
    broken by arrival order.
    """
    links = _Links(signed_links)
    starts = [link for link in links if not links.prev_sigs[link]]
    gaps = [link for link in links if links.prev_sigs[link] and links.predecessor(link) is None]
    forks = [links.to_seqs(group) for group in links.by_prev_sig.groups()]
    order = array("i")
    is_placed = bytearray(len(links))
    for head in starts + gaps:
        _follow(head, links, order, is_placed)
    cycles = []
    for link in links:
        if not is_placed[link]:
            cycles.append(link)
            _follow(link, links, order, is_placed)
    return SignatureChain(
        order=links.to_seqs(order),
        starts=links.to_seqs(starts),
        gaps=links.to_seqs(gaps),
        forks=forks,
        repeats=[links.to_seqs(group) for group in links.by_sig.groups()],
        cycles=links.to_seqs(cycles),
        clock_jumps=[links.to_seqs(pair) for pair in _clock_jumps(links, order)],
    )


def _follow(head: int, links: "_Links", order: array, is_placed: bytearray) -> None:
    """Append `head` and its successors to `order`, one branch after another."""
    pending = [head]
    while pending:
        link = pending.pop()
        if not is_placed[link]:
            is_placed[link] = True
            order.append(link)
            pending += reversed(links.by_prev_sig.pop(links.sigs[link]))


def _clock_jumps(links: "_Links", order: Iterable[int]) -> Iterator[tuple[int, int]]:
    for link in order:
        before = links.predecessor(link)
        if before is not None and links.times[link] < links.times[before] - CLOCK_TOLERANCE_NS:
            yield before, link


class _Links:
    """A session's links, numbered by time and stored in columns to save memory.

    Signatures are also numbered. `prev_sigs` is 0 for the first event of a chain.
    """

    def __init__(self, links: Iterable[SignedLink]):
        numbers: dict[bytes | None, int] = {None: 0}
        seqs, times, sigs, prev_sigs = array("q"), array("q"), array("i"), array("i")
        for seq, time_ns, sig, prev_sig in links:
            seqs.append(seq)
            times.append(time_ns)
            sigs.append(numbers.setdefault(sig, len(numbers)))
            prev_sigs.append(numbers.setdefault(prev_sig or None, len(numbers)))
        # Two stable sorts use less memory than one sort with pairs as keys.
        by_arrival = sorted(range(len(seqs)), key=seqs.__getitem__)
        by_time = sorted(by_arrival, key=times.__getitem__)
        self._seqs, self.times, self.sigs, self.prev_sigs = (
            array(column.typecode, (column[index] for index in by_time))
            for column in (seqs, times, sigs, prev_sigs)
        )
        self.by_sig = _Groups(self.sigs, len(numbers))
        self.by_prev_sig = _Groups(self.prev_sigs, len(numbers))

    def __len__(self) -> int:
        return len(self._seqs)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._seqs)))

    def predecessor(self, link: int) -> int | None:
        """Return the first link with the signature that this link references."""
        return self.by_sig.first(self.prev_sigs[link]) if self.prev_sigs[link] else None

    def to_seqs(self, links: Iterable[int]) -> Sequence[int]:
        return array("q", (self._seqs[link] for link in links))


class _Groups:
    """Groups of links with the same number, as linked lists ordered by time."""

    def __init__(self, numbers: array, count: int):
        self._numbers = numbers
        self._first, self._next = array("i", [-1]) * count, array("i", [-1]) * len(numbers)
        for link in reversed(range(len(numbers))):
            self._next[link], self._first[numbers[link]] = self._first[numbers[link]], link

    def first(self, number: int) -> int | None:
        link = self._first[number]
        return None if link == -1 else link

    def pop(self, number: int) -> list[int]:
        """Remove and return the links with this number."""
        links = list(self._from(self._first[number]))
        self._first[number] = -1
        return links

    def groups(self) -> Iterator[Iterator[int]]:
        """Yield the groups with more than one link, except number 0."""
        for link, number in enumerate(self._numbers):
            if number and self._first[number] == link and self._next[link] != -1:
                yield self._from(link)

    def _from(self, link: int) -> Iterator[int]:
        while link != -1:
            yield link
            link = self._next[link]
