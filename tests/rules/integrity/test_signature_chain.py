"""The order of signed events, and anomalies in their chain."""

import random
import time

import pytest

from rules.integrity.signature_chain import CLOCK_TOLERANCE_NS, SignedLink, order_chain


def links(pairs: str, times=None) -> list[SignedLink]:
    """Build links from pairs such as `ba` (b after a) and `a` (a start), by default a second apart."""
    signed = [(pair[:1].encode(), pair[1:].encode() or None) for pair in pairs.split()]
    times = times or range(len(signed))
    return [SignedLink(seq, times[seq] * 10**9, *signatures) for seq, signatures in enumerate(signed)]


def names(chain, seqs) -> str:
    """Return the events' signatures; `chain` is in arrival order."""
    return b"".join(chain[seq].sig for seq in seqs).decode()


@pytest.mark.parametrize(
    ("chain", "order", "starts", "gaps", "forks"),
    [
        (links(""), "", "", "", []),
        (links("a ba cb"), "abc", "a", "", []),
        # Times and arrival order do not matter.
        (links("cb a dc ba", times=[3, 9, 1, 2]), "abcd", "a", "", []),
        # After gaps, the earliest run comes first.
        (links("xw a yx ml ba", times=[5, 1, 6, 4, 2]), "abmxy", "a", "mx", []),
        # Ties are in arrival order.
        (links("xw ml a", times=[5, 5, 9]), "axm", "a", "xm", []),
        # At a fork, one branch follows the other.
        (links("a ba pa cb qp"), "abcpq", "a", "", ["bp"]),
        (links("a xw yw"), "axy", "a", "xy", ["xy"]),
        # Two starts are not a fork.
        (links("a m ba nm"), "abmn", "am", "", []),
    ],
)
def test_the_chain_does_not_depend_on_input_order(chain, order, starts, gaps, forks):
    for seed in range(10):
        chain_order = order_chain(random.Random(seed).sample(chain, len(chain)))
        groups = (chain_order.order, chain_order.starts, chain_order.gaps, *chain_order.forks)
        assert [names(chain, seqs) for seqs in groups] == [order, starts, gaps, *forks]
        assert (chain_order.repeats, list(chain_order.cycles)) == ([], [])


def test_links_with_the_same_signature_are_grouped():
    first, copy = SignedLink(0, 0, b"a", None), SignedLink(1, 0, b"a", None)
    following = SignedLink(2, 1, b"b", b"a")
    chain_order = order_chain([first, copy, following])
    assert list(chain_order.order) == [0, 2, 1]
    assert list(map(list, chain_order.repeats)) == [[0, 1]]


@pytest.mark.parametrize(
    ("pairs", "first"), [("aa", "a"), ("ab ba", "a"), ("a xz yx zy ba", "x"), ("ty xy yx", "t")]
)
def test_cycles_do_not_lose_links(pairs, first):
    chain = links(pairs)
    chain_order = order_chain(chain)
    assert sorted(chain_order.order) == list(range(len(chain)))
    assert names(chain, chain_order.cycles)[0] == first
    assert list(chain_order.starts) == [link.seq for link in chain if not link.prev_sig]


def test_clock_jumps_are_reported_except_across_gaps():
    back = CLOCK_TOLERANCE_NS // 10**9
    chain = links("a ba cb dc xw", times=[1000, 1000 - back, 1001, 1001 - back - 1, 1])
    assert [names(chain, pair) for pair in order_chain(chain).clock_jumps] == ["cd"]


@pytest.mark.parametrize(
    ("sig", "prev_sig"),
    [("{0}", "{1}"), ("{0}", "missing"), ("{0}", "{2}"), ("same", "same")],
    ids=["chain", "comb", "cycle", "copies"],
)
def test_long_chains_take_linear_time(sig, prev_sig):
    chain = []
    for seq in range(10_000):
        numbers = (seq, seq - 1 if seq else "", (seq - 1) % 10_000)
        chain.append(SignedLink.from_signatures(seq, seq, sig.format(*numbers), prev_sig.format(*numbers)))
    random.Random(1).shuffle(chain)
    start = time.process_time()
    assert len(order_chain(chain).order) == 10_000
    assert time.process_time() - start < 1
