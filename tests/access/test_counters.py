"""What one process counts by itself."""

from access.counters import MIN_SWEPT_WINDOWS, LocalCounters


def test_hits_are_counted_by_key():
    counts = LocalCounters()
    assert [counts.incr("one", 60), counts.incr("one", 60), counts.incr("other", 60)] == [1, 2, 1]
    assert (counts.get("one"), counts.get("nobody")) == (2, 0)


def test_when_its_window_has_ended_counting_begins_anew():
    counts = LocalCounters()
    assert [counts.incr("one", 0), counts.incr("one", 0)] == [1, 1]


def test_what_has_ended_is_forgotten():
    counts = LocalCounters()
    for number in range(10 * MIN_SWEPT_WINDOWS):
        counts.incr(f"passing by {number}", 0)
    counts.incr("here", 60)
    assert len(counts._windows) <= MIN_SWEPT_WINDOWS + 1
    assert counts.get("here") == 1
