import random
import time

import pytest

from rules.chain_order import CLOCK_TOLERANCE_NS, Link, chain


def links(*pairs, times=None) -> list[Link]:
    """Links from `(sig, prev_sig)`; each is named after its signature, a second later than the one before."""
    return [
        Link(sig, sig, prev or None, (times[seq] if times else seq) * 10**9, seq)
        for seq, (sig, prev) in enumerate(pairs)
    ]


def names(found) -> str:
    return "".join(link.id for link in found)


def in_any_order(some: list[Link]):
    """The same links in several orders of the argument; their `seq` stays."""
    for seed in range(10):
        yield random.Random(seed).sample(some, len(some))


def test_links_follow_their_predecessors_whatever_their_times_and_arrival():
    some = links(("c", "b"), ("a", ""), ("d", "c"), ("b", "a"), times=[3, 9, 1, 2])
    for shuffled in in_any_order(some):
        assert names(chain(shuffled).order) == "abcd"


def test_a_whole_chain_has_one_start_and_no_other_fact():
    found = chain(links(("a", ""), ("b", "a"), ("c", "b")))
    assert names(found.starts) == "a"
    assert found[2:] == ([], [], [], [], [])


def test_after_a_gap_the_remaining_runs_follow_the_earliest_first():
    some = links(("x", "w"), ("a", ""), ("y", "x"), ("m", "l"), ("b", "a"), times=[5, 1, 6, 4, 2])
    for shuffled in in_any_order(some):
        found = chain(shuffled)
        assert names(found.order) == "abmxy"
        assert names(found.gaps) == "mx"


def test_of_equally_early_runs_the_one_that_arrived_first_goes_first():
    some = links(("x", "w"), ("m", "l"), ("a", ""), times=[5, 5, 9])
    for shuffled in in_any_order(some):
        assert names(chain(shuffled).order) == "axm"


def test_at_a_fork_one_branch_follows_the_other():
    some = links(("a", ""), ("b", "a"), ("p", "a"), ("c", "b"), ("q", "p"))
    for shuffled in in_any_order(some):
        found = chain(shuffled)
        assert names(found.order) == "abcpq"
        assert list(map(names, found.forks)) == ["bp"]


def test_two_runs_behind_the_same_missing_event_are_a_fork_and_two_gaps():
    found = chain(links(("a", ""), ("x", "w"), ("y", "w")))
    assert names(found.order) == "axy"
    assert names(found.gaps) == "xy"
    assert list(map(names, found.forks)) == ["xy"]


def test_several_starts_are_named_and_are_no_fork():
    found = chain(links(("a", ""), ("m", ""), ("b", "a"), ("n", "m")))
    assert names(found.order) == "abmn"
    assert names(found.starts) == "am"
    assert found.forks == []


def test_links_with_one_signature_are_all_listed():
    some = [
        Link("first", "a", None, 0, 0),
        Link("copy", "a", None, 0, 1),
        Link("next", "b", "a", 1, 2),
    ]
    found = chain(some)
    assert [link.id for link in found.order] == ["first", "next", "copy"]
    assert [[link.id for link in group] for group in found.repeats] == [["first", "copy"]]


@pytest.mark.parametrize(
    ("pairs", "order", "circles"),
    [
        ([("a", "a")], "a", "a"),
        ([("a", "b"), ("b", "a")], "ab", "a"),
        ([("a", ""), ("x", "z"), ("y", "x"), ("z", "y"), ("b", "a")], "abxyz", "x"),
        ([("t", "y"), ("x", "y"), ("y", "x")], "txy", "tx"),
    ],
)
def test_a_circle_ends_and_loses_nothing(pairs, order, circles):
    some = links(*pairs)
    found = chain(some)
    assert sorted(names(found.order)) == sorted(order)
    assert len(found.circles) >= 1
    assert found.starts == [link for link in some if not link.prev_sig]


def test_no_links_make_an_empty_chain():
    assert chain([]) == ([], [], [], [], [], [], [])


def test_the_clock_going_back_along_the_chain_is_named():
    back = CLOCK_TOLERANCE_NS // 10**9
    some = links(
        ("a", ""), ("b", "a"), ("c", "b"), ("d", "c"), times=[1000, 1000 - back, 1001, 1001 - back - 1]
    )
    assert [(earlier.id, later.id) for earlier, later in chain(some).clock_jumps] == [("c", "d")]


def test_across_a_gap_no_clock_is_compared():
    some = links(("a", ""), ("b", "a"), ("x", "w"), times=[10_000, 10_001, 1])
    assert chain(some).clock_jumps == []


def chain_of(count: int) -> list[Link]:
    return [Link(f"e{n}", f"s{n}", f"s{n - 1}" if n else None, n, n) for n in range(count)]


def comb(count: int) -> list[Link]:
    return [Link(f"e{n}", f"s{n}", "missing", n, n) for n in range(count)]


def circle(count: int) -> list[Link]:
    return [Link(f"e{n}", f"s{n}", f"s{(n - 1) % count}", n, n) for n in range(count)]


def copies(count: int) -> list[Link]:
    return [Link(f"e{n}", "s", "s", n, n) for n in range(count)]


@pytest.mark.parametrize("shape", [chain_of, comb, circle, copies])
def test_twenty_thousand_links_of_any_shape_are_quick(shape):
    some = shape(20_000)
    random.Random(1).shuffle(some)
    began = time.process_time()
    assert len(chain(some).order) == 20_000
    assert time.process_time() - began < 2
