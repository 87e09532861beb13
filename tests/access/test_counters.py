"""What one process counts by itself."""

from access.counters import FEWEST_SWEPT, OwnCounts


def test_hits_are_counted_by_key():
    counts = OwnCounts()
    assert [counts.incr("one", 60), counts.incr("one", 60), counts.incr("other", 60)] == [1, 2, 1]
    assert (counts.get("one"), counts.get("nobody")) == (2, 0)


def test_when_its_window_has_ended_counting_begins_anew():
    counts = OwnCounts()
    assert [counts.incr("one", 0), counts.incr("one", 0)] == [1, 1]


def test_what_has_ended_is_forgotten():
    counts = OwnCounts()
    for number in range(10 * FEWEST_SWEPT):
        counts.incr(f"passing by {number}", 0)
    counts.incr("here", 60)
    assert len(counts._windows) <= FEWEST_SWEPT + 1
    assert counts.get("here") == 1
