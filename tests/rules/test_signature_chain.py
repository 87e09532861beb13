"""The order of signed events, and irregularities in it."""

import random
import time

import pytest

from rules.signature_chain import CLOCK_TOLERANCE_NS, SignedLink, order_chain


def links(*pairs, times=None) -> list[SignedLink]:
    """Links of `(sig, prev_sig)`, by default a second apart."""
    return [
        SignedLink(sig, sig, prev or None, (times[seq] if times else seq) * 10**9, seq)
        for seq, (sig, prev) in enumerate(pairs)
    ]


def names(found) -> str:
    return "".join(link.id for link in found)


@pytest.mark.parametrize(
    ("chain", "order", "starts", "gaps", "forks"),
    [
        ([], "", "", "", []),
        (links(("a", ""), ("b", "a"), ("c", "b")), "abc", "a", "", []),
        # Neither times nor arrival change the order of the chain.
        (links(("c", "b"), ("a", ""), ("d", "c"), ("b", "a"), times=[3, 9, 1, 2]), "abcd", "a", "", []),
        # After gaps the earliest run goes first.
        (links(("x", "w"), ("a", ""), ("y", "x"), ("m", "l"), ("b", "a"), times=[5, 1, 6, 4, 2]),
         "abmxy", "a", "mx", []),
        # Ties go by arrival.
        (links(("x", "w"), ("m", "l"), ("a", ""), times=[5, 5, 9]), "axm", "a", "xm", []),
        # A fork: one branch follows the other.
        (links(("a", ""), ("b", "a"), ("p", "a"), ("c", "b"), ("q", "p")), "abcpq", "a", "", ["bp"]),
        (links(("a", ""), ("x", "w"), ("y", "w")), "axy", "a", "xy", ["xy"]),
        # Two starts are not a fork.
        (links(("a", ""), ("m", ""), ("b", "a"), ("n", "m")), "abmn", "am", "", []),
    ],
)  # fmt: skip
def test_links_are_ordered_whatever_their_input_order(chain, order, starts, gaps, forks):
    for seed in range(10):
        found = order_chain(random.Random(seed).sample(chain, len(chain)))
        assert (names(found.order), names(found.starts), names(found.gaps)) == (order, starts, gaps)
        assert list(map(names, found.forks)) == forks
        assert (found.repeats, found.cycles) == ([], [])


def test_links_with_the_same_signature_are_grouped():
    first, copy = SignedLink("first", "a", None, 0, 0), SignedLink("copy", "a", None, 0, 1)
    following = SignedLink("next", "b", "a", 1, 2)
    found = order_chain([first, copy, following])
    assert found.order == [first, following, copy]
    assert found.repeats == [[first, copy]]


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "a")],
        [("a", "b"), ("b", "a")],
        [("a", ""), ("x", "z"), ("y", "x"), ("z", "y"), ("b", "a")],
        [("t", "y"), ("x", "y"), ("y", "x")],
    ],
)
def test_a_cycle_ends_and_no_link_is_lost(pairs):
    chain = links(*pairs)
    found = order_chain(chain)
    assert sorted(found.order) == sorted(chain)
    assert len(found.cycles) >= 1
    assert found.starts == [link for link in chain if not link.prev_sig]


def test_a_clock_that_goes_back_by_more_than_the_tolerance_is_found():
    back = CLOCK_TOLERANCE_NS // 10**9
    pairs = (("a", ""), ("b", "a"), ("c", "b"), ("d", "c"))
    chain = links(*pairs, times=[1000, 1000 - back, 1001, 1001 - back - 1])
    assert [names(pair) for pair in order_chain(chain).clock_jumps] == ["cd"]


def test_clocks_are_not_compared_across_a_gap():
    chain = links(("a", ""), ("b", "a"), ("x", "w"), times=[10_000, 10_001, 1])
    assert order_chain(chain).clock_jumps == []


@pytest.mark.parametrize(
    "prev_sig",
    [lambda n: f"s{n - 1}" if n else None, lambda n: "missing", lambda n: f"s{(n - 1) % 20_000}"],
    ids=["chain", "comb", "cycle"],
)
def test_twenty_thousand_links_take_less_than_two_seconds(prev_sig):
    check_speed([SignedLink(f"e{n}", f"s{n}", prev_sig(n), n, n) for n in range(20_000)])


def test_twenty_thousand_copies_take_less_than_two_seconds():
    check_speed([SignedLink(f"e{n}", "s", "s", n, n) for n in range(20_000)])


def check_speed(chain):
    random.Random(1).shuffle(chain)
    start = time.process_time()
    assert len(order_chain(chain).order) == 20_000
    assert time.process_time() - start < 2
